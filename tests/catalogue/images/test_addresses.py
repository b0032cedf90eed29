"""Which addresses pictures may come from."""

from __future__ import annotations

import ipaddress
import socket

import pytest

from clipita.catalogue.images.addresses import Neighbourhood, is_public
from clipita.errors import ConfigError, ImageError

PRIVATE = [
    "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "169.254.169.254", "0.0.0.0", "224.0.0.1",
    "255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1",
    "::ffff:169.254.169.254", "64:ff9b::7f00:1", "2002:7f00:1::", "2130706433", "0x7f.1", "127.1", "0177.0.0.1",
    "fec0::1", "feff::1", "64:ff9b:1::1", "64:ff9b:1:ffff::808:808", "::ffff:0:127.0.0.1", "::127.0.0.1", "::10.0.0.1",
    "192.0.0.192", "168.63.129.16", "::ffff:168.63.129.16", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1",
    "2001:0:808:808::80ff:fffe", "2001:0:7f00:1::f7f7:f7f7", "240.0.0.1", "4000::1", "e000::1", "1::1", "::2",
]  # fmt: skip
PUBLIC = [
    "8.8.8.8", "1.1.1.1", "11.0.0.1", "100.128.0.1", "168.63.129.15", "172.32.0.1", "192.0.1.1", "192.1.0.1",
    "198.20.0.1", "223.255.255.255", "2001:4860:4860::8888", "2606:4700::1", "2a00::1", "2001:200::1", "3ffe::1",
    "64:ff9b::808:808", "::ffff:8.8.8.8", "2002:808:808::1", "2001:0:808:808::f7f7:f7f7",
]  # fmt: skip

# https://www.iana.org/assignments/iana-ipv4-special-registry and iana-ipv6-special-registry: every address block.
REGISTRIES = """
    0.0.0.0/8           this network
    0.0.0.0/32          this host on this network
    10.0.0.0/8          private use
    100.64.0.0/10       shared address space
    127.0.0.0/8         loopback
    169.254.0.0/16      link local
    172.16.0.0/12       private use
    192.0.0.0/24        IETF protocol assignments
    192.0.0.0/29        IPv4 service continuity prefix
    192.0.0.8/32        IPv4 dummy address
    192.0.0.9/32        port control protocol anycast
    192.0.0.10/32       traversal using relays around NAT anycast
    192.0.0.170/32      NAT64/DNS64 discovery
    192.0.0.171/32      NAT64/DNS64 discovery
    192.0.2.0/24        documentation (TEST-NET-1)
    192.31.196.0/24     AS112-v4
    192.52.193.0/24     AMT
    192.88.99.0/24      deprecated (6to4 relay anycast)
    192.88.99.2/32      6a44-relay anycast address
    192.168.0.0/16      private use
    192.175.48.0/24     direct delegation AS112 service
    198.18.0.0/15       benchmarking
    198.51.100.0/24     documentation (TEST-NET-2)
    203.0.113.0/24      documentation (TEST-NET-3)
    240.0.0.0/4         reserved
    255.255.255.255/32  limited broadcast
    ::1/128             loopback address
    ::/128              unspecified address
    64:ff9b:1::/48      IPv4-IPv6 translation
    100::/64            discard-only address block
    100:0:0:1::/64      dummy IPv6 prefix
    2001::/23           IETF protocol assignments
    2001:1::1/128       port control protocol anycast
    2001:1::2/128       traversal using relays around NAT anycast
    2001:1::3/128       DNS-SD service registration protocol anycast
    2001:2::/48         benchmarking
    2001:3::/32         AMT
    2001:4:112::/48     AS112-v6
    2001:10::/28        deprecated (ORCHID)
    2001:20::/28        ORCHIDv2
    2001:30::/28        drone remote ID protocol entity tags
    2001:db8::/32       documentation
    2620:4f:8000::/48   direct delegation AS112 service
    3fff::/20           documentation
    5f00::/16           segment routing (SRv6) SIDs
    fc00::/7            unique-local
    fe80::/10           link-local unicast
"""
CARRIERS = {
    "::ffff:0:0/96": "::ffff:{}",  # IPv4-mapped address
    "64:ff9b::/96": "64:ff9b::{}",  # IPv4-IPv6 translation
    "2002::/16": "2002:{:x}:{:x}::1",  # 6to4
    "2001::/32": "2001:0:808:808::{:x}:{:x}",  # TEREDO
}
"""The registries' other blocks, whose addresses carry one of IPv4."""
ROWS = [line.split()[0] for line in REGISTRIES.split("\n") if line.strip()]


@pytest.mark.parametrize("block", ROWS)
def test_no_address_of_the_registries_is_public(block: str) -> None:
    network = ipaddress.ip_network(block)
    for address in (network[0], network[network.num_addresses // 2], network[-1]):
        # Some have a row of their own: the carriers below 2001::/23.
        assert not any(address in ipaddress.ip_network(carrier) for carrier in CARRIERS) or block == "2001::/23"
        assert not is_public(address)


@pytest.mark.parametrize(("carrier", "form"), CARRIERS.items())
@pytest.mark.parametrize("inner", [*(row for row in ROWS if "." in row), "8.8.8.0/24", "1.1.1.1/32", "224.0.0.0/4"])
def test_an_address_that_carries_another_is_judged_by_it(carrier: str, form: str, inner: str) -> None:
    address = ipaddress.IPv4Network(inner)[0]
    high, low = divmod(int(address), 2**16)
    if carrier == "2001::/32":
        high, low = high ^ 0xFFFF, low ^ 0xFFFF
    outer = ipaddress.IPv6Address(form.format(*((high, low) if ":x" in form else (address,))))
    assert outer in ipaddress.IPv6Network(carrier)
    assert is_public(outer) == is_public(address) == (inner in {"8.8.8.0/24", "1.1.1.1/32"})


@pytest.mark.parametrize("host", PRIVATE)
def test_private_addresses_are_refused_however_they_are_written(host: str) -> None:
    with pytest.raises(ImageError, match="not a public address; --allow-private-hosts"):
        Neighbourhood().addresses(host, 80)


@pytest.mark.parametrize("host", PUBLIC)
def test_public_addresses_are_not(host: str) -> None:
    assert is_public(ipaddress.ip_address(host))
    (found,) = Neighbourhood().addresses(host, 80)
    assert ipaddress.ip_address(found) == ipaddress.ip_address(host)


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
