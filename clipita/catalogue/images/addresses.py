"""Which network addresses images may be fetched from."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable

from clipita.errors import ConfigError, ImageError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

MAX_PORT = 65_535
_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")
"""NAT64 (RFC 6052): the last 32 bits are an IPv4 address."""


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
            address = _meant(ipaddress.ip_address(text.partition("%")[0]))
            public = address.is_global and not address.is_multicast
            if not public and not any(address in network for network in self._networks):
                raise ImageError(
                    f"the image cannot be fetched: {host} is at {address}, not a public address; "
                    f"--allow-private-hosts {host} allows it"
                )
        return addresses


def _meant(address: Address) -> Address:
    """The IPv4 address that an IPv6 address stands for, where it stands for one."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _TRANSLATED:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else address)
