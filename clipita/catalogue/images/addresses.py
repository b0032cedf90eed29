"""Which network addresses images may be fetched from."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable

from clipita.errors import ConfigError, ImageError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

MAX_PORT = 65_535
_SPECIAL = [
    ipaddress.ip_network(network)
    for network in (
        # Everything of https://www.iana.org/assignments/iana-ipv4-special-registry, whether it is called globally
        # reachable or not: what is not private there is an anycast service, which the nearest router may answer.
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24",
        "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
        # Multicast, reserved and limited broadcast.
        "224.0.0.0/3",
        # The host of an Azure machine, which is asked for its certificates and settings.
        "168.63.129.16/32",
        # https://www.iana.org/assignments/iana-ipv6-special-registry, as far as it lies in 2000::/3.
        "2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20",
    )
]  # fmt: skip
"""A table of our own, as the one of Python's ipaddress changes with its version."""
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
"""All that IANA has given out of IPv6 (RFC 4291, 2.4), so that no other network needs a row."""
_LAST_32_BITS = [
    ipaddress.IPv6Network(network)
    for network in ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96")
]  # fmt: skip
"""IPv4-compatible, mapped (RFC 4291), translated (RFC 2765) and NAT64 (RFC 6052) addresses end in an IPv4 address."""
_SIX_TO_FOUR = ipaddress.IPv6Network("2002::/16")
_TEREDO = ipaddress.IPv6Network("2001::/32")


class Neighbourhood:
    """Tells public addresses from those of this machine and its networks.

    Catalogues come from many sources, and their URLs are followed from inside the shop's network: one could reach the
    machine's own services, or the cloud's metadata service with the machine's credentials.

    Args:
        allowed: private hosts that are allowed nevertheless: names, addresses, or networks such as 10.1.0.0/16.

    Raises:
        ConfigError: one of them is not valid.
    """

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        self._names: set[str] = set()
        self._networks: list[Network] = []
        for entry in allowed:
            text = entry.strip().strip("[]").lower()
            if not text or set(text) & set("*@ ") or "://" in text:
                raise ConfigError(
                    f"allow_private_hosts: {entry!r} is not a host name, an address or a network.",
                    hint="Write for instance images.internal, 10.1.2.3 or 10.1.0.0/16.",
                )
            try:
                self._networks.append(ipaddress.ip_network(text))
            except ValueError as error:
                if "/" in text:
                    raise ConfigError(f"allow_private_hosts: {entry!r} is not a network: {error}.") from error
                self._names.add(text.rstrip("."))

    def addresses(self, host: str, port: int) -> list[str]:
        """What a name resolves to; a connection uses exactly these, as a second look-up could give others.

        Raises:
            ImageError: one of the addresses is not allowed, or there is no such port.
            OSError: the name cannot be resolved.
        """
        if not 0 < port <= MAX_PORT:
            raise ImageError(f"the image cannot be fetched: {host} has no port {port}; ports are 1 to {MAX_PORT}")
        bare = host.strip("[]")
        found = socket.getaddrinfo(bare, port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        for text in addresses if bare.lower().rstrip(".") not in self._names else ():
            address = ipaddress.ip_address(text.partition("%")[0])
            meant = address, *_embedded(address)
            if not is_public(address) and not any(one in network for one in meant for network in self._networks):
                raise ImageError(
                    f"the image cannot be fetched: {host} is at {address}, not a public address; "
                    f"--allow-private-hosts {host} allows it"
                )
        return addresses


def is_public(address: Address) -> bool:
    """Whether an address belongs to nobody but a host of the internet, the same on every version of Python.

    An IPv6 address that carries an IPv4 address is what that one is.
    """
    if embedded := _embedded(address):
        return all(map(is_public, embedded))
    if isinstance(address, ipaddress.IPv6Address) and address not in _GLOBAL_UNICAST:
        return False
    return not any(address in network for network in _SPECIAL)


def _embedded(address: Address) -> tuple[Address, ...]:
    """The IPv4 addresses in an IPv6 address; of Teredo (RFC 4380) the server's and the client's."""
    number = int(address)
    # :: and ::1 are of the form of IPv4-compatible addresses but have their own meaning.
    if isinstance(address, ipaddress.IPv4Address) or number <= 1:
        return ()
    if any(address in network for network in _LAST_32_BITS):
        found = [number]
    elif address in _SIX_TO_FOUR:
        found = [number >> 80]
    elif address in _TEREDO:
        found = [number >> 64, ~number]
    else:
        return ()
    return tuple(ipaddress.IPv4Address(part & 0xFFFFFFFF) for part in found)
