"""Pictures behind http(s) URLs, fetched with limits on time, size and redirects."""

from __future__ import annotations

import functools
import ipaddress
import re
import socket
import time
from typing import TYPE_CHECKING

from clipita import __version__
from clipita.errors import ImageError

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse, PoolManager

TIMEOUT = 10.0
"""Seconds to connect, and seconds between two pieces of the answer."""
MAX_SECONDS = 60.0
"""For the whole answer: a server that drips a byte at a time must not hold the run up."""
RETRIES = 3
REDIRECTS = 5
REFUSED = ("169.254.0.0/16", "fe80::/10", "fd00:ec2::254/128", "224.0.0.0/4", "ff00::/8")
"""Link-local and multicast addresses: clouds give a machine its own credentials there, and no shop its pictures."""
_PIECE = 2**16
_USERINFO = re.compile(r"//[^/@]*@")


def download(url: str, max_bytes: int) -> bytes:
    """The body behind a URL.

    Args:
        url: begins with http:// or https://.
        max_bytes: a longer body is refused while it arrives; counted after decompression.

    Raises:
        ImageError: no answer, an answer other than 200, too many redirects, too long or too slow, or an address that
            is in `REFUSED`.
    """
    import http.client

    import urllib3

    name = shown(url)
    try:
        response = _pool().request("GET", url, preload_content=False)
        try:
            if response.status != http.HTTPStatus.OK:
                raise ImageError(f"the picture cannot be fetched: {name} answers with status {response.status}")
            return _body(response, name, max_bytes)
        finally:
            # Not released to the pool: after a refusal there may be unread bytes on the line.
            response.close()
    except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError, ValueError) as error:
        raise ImageError(f"the picture cannot be fetched: {name}, {_cause(error)}") from error


def shown(url: str) -> str:
    """A URL as it may stand in a message: without user and password, and not endless."""
    bare = _USERINFO.sub("//", url, count=1)
    return bare if len(bare) <= 200 else f"{bare[:199]}…"


def _body(response: BaseHTTPResponse, name: str, max_bytes: int) -> bytes:
    declared = response.headers.get("Content-Length", "")
    if declared.isdecimal() and int(declared) > max_bytes:
        raise ImageError(f"the picture is too large: {name} has {int(declared):,} bytes, the limit is {max_bytes:,}")
    deadline = time.monotonic() + MAX_SECONDS
    body = bytearray()
    for piece in response.stream(_PIECE, decode_content=True):
        body += piece
        if len(body) > max_bytes:
            raise ImageError(f"the picture is too large: {name} has more than {max_bytes:,} bytes")
        if time.monotonic() > deadline:
            raise ImageError(f"the picture cannot be fetched: {name} takes longer than {MAX_SECONDS:.0f} s")
    return bytes(body)


def _cause(error: BaseException) -> str:
    reason = getattr(error, "reason", None)
    words = str(reason if isinstance(reason, Exception) else error).splitlines() or [""]
    return _USERINFO.sub("//", words[0])[:200] or type(error).__name__


@functools.cache
def _pool() -> PoolManager:
    import urllib3

    retries = urllib3.Retry(
        total=RETRIES + REDIRECTS, connect=RETRIES, read=RETRIES, status=RETRIES, other=0, redirect=REDIRECTS,
        status_forcelist=(429, 500, 502, 503, 504), backoff_factor=0.5, raise_on_status=False,
        # A server could ask for an hour's wait.
        respect_retry_after_header=False,
    )  # fmt: skip
    manager = urllib3.PoolManager(
        num_pools=32, maxsize=16, retries=retries, timeout=urllib3.Timeout(TIMEOUT),
        headers={"User-Agent": f"clipita/{__version__}", "Accept": "image/*"},
    )  # fmt: skip
    manager.pool_classes_by_scheme = _checked_pools()
    return manager


def _checked_pools() -> dict[str, type]:
    """Connection pools that look at whom they reached before anything is sent, whatever the name resolved to."""
    from urllib3.connection import HTTPConnection, HTTPSConnection
    from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return _checked(super()._new_conn())

    class Secure(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            return _checked(super()._new_conn())

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}


def _checked(connection: socket.socket) -> socket.socket:
    address = ipaddress.ip_address(connection.getpeername()[0].partition("%")[0])
    address = getattr(address, "ipv4_mapped", None) or address
    if any(address in ipaddress.ip_network(network) for network in REFUSED):
        connection.close()
        raise ImageError(f"the picture cannot be fetched: {address} is no address from which pictures come")
    return connection
