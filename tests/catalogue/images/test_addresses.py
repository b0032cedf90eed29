"""Which addresses pictures may come from."""

from __future__ import annotations

import socket

import pytest

from clipita.catalogue.images.addresses import Neighbourhood
from clipita.errors import ConfigError, ImageError

PRIVATE = [
    "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "169.254.169.254", "0.0.0.0", "224.0.0.1",
    "255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1",
    "::ffff:169.254.169.254", "64:ff9b::7f00:1", "2002:7f00:1::", "2130706433", "0x7f.1", "127.1", "0177.0.0.1",
]  # fmt: skip
PUBLIC = ["8.8.8.8", "2001:4860:4860::8888", "64:ff9b::808:808"]


@pytest.mark.parametrize("host", PRIVATE)
def test_private_addresses_are_refused_however_they_are_written(host: str) -> None:
    with pytest.raises(ImageError, match="not a public address; --allow-private-hosts"):
        Neighbourhood().addresses(host, 80)


@pytest.mark.parametrize("host", PUBLIC)
def test_public_addresses_are_not(host: str) -> None:
    assert Neighbourhood().addresses(host, 80) == [host]


@pytest.mark.parametrize("allowed", ["localhost", "LOCALHOST.", "127.0.0.0/8,::1", "127.0.0.1,::1"])
def test_named_hosts_addresses_and_networks_are_allowed(allowed: str) -> None:
    neighbourhood = Neighbourhood(allowed.split(","))
    assert set(neighbourhood.addresses("localhost", 80)) <= {"127.0.0.1", "::1"}
    with pytest.raises(ImageError):
        neighbourhood.addresses("10.1.2.3", 80)


def test_an_allowed_name_is_that_name_and_not_its_address() -> None:
    with pytest.raises(ImageError):
        Neighbourhood(["localhost"]).addresses("127.0.0.1", 80)


def test_one_private_address_among_public_ones_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    # A name server of ours would be needed for a real name that has both.
    both = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80)) for address in ("8.8.8.8", "127.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both)
    with pytest.raises(ImageError):
        Neighbourhood().addresses("both.example", 80)


@pytest.mark.parametrize("entry", ["", "*", "http://10.0.0.1", "10.0.0.1/8", "me@host", "two words"])
def test_entries_that_name_nothing(entry: str) -> None:
    with pytest.raises(ConfigError, match="allow_private_hosts"):
        Neighbourhood([entry])
