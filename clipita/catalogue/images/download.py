"""Images by http(s) URL: HTTP/2, limits on time, size and load, a cache, and public addresses only."""

from __future__ import annotations

import asyncio
import atexit
import random
import re
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipita import __version__
from clipita.catalogue.images.addresses import Neighbourhood
from clipita.catalogue.images.cache import MAX_BYTES, CachedImage, ImageCache
from clipita.errors import ImageError

if TYPE_CHECKING:
    import httpx2

TIMEOUT = 10.0
"""Seconds to connect, and seconds between two pieces of the response."""
MAX_SECONDS = 60.0
"""Seconds for a whole response: a server that sends a byte at a time must not delay the run."""
RETRIES = 3
FIRST_WAIT = 0.5
REDIRECTS = 5
PER_HOST = 16
"""Simultaneous requests to one host."""
CONNECTIONS = 64
AWAY = 8
"""Requests in a row without a response after which a host counts as away."""
AWAY_TIMEOUT = 2.0
"""Seconds for the single try that a host gets while it is away."""
RETRIABLE = frozenset({429, 500, 502, 503, 504})
_PIECE = 2**16
_USERINFO = re.compile(r"//[^/@]*@")


class _UnreachableError(ImageError):
    """The server did not answer, or is busy: a cached image is used instead."""


_neighbourhood = Neighbourhood()
_cache: ImageCache | None = None
_lock = threading.Lock()
_fetcher: _Fetcher | None = None


def configure(allow_private_hosts: Iterable[str] = (), cache: Path | None = None, cache_bytes: int = MAX_BYTES) -> None:
    """Set how this process fetches images; by default from public hosts only and without a cache.

    Raises:
        ConfigError: an entry of `allow_private_hosts` is not valid.
    """
    global _neighbourhood, _cache
    _neighbourhood = Neighbourhood(allow_private_hosts)
    _cache = ImageCache(cache, cache_bytes) if cache else None
    # Open connections were allowed by the former setting.
    close()


def close() -> None:
    """Close all connections; the next image opens new ones."""
    global _fetcher
    with _lock:
        fetcher, _fetcher = _fetcher, None
    if fetcher is not None:
        fetcher.close()


def download(url: str, max_bytes: int) -> bytes:
    """The body behind a URL; a cached one that has not changed on the server is not transferred again.

    Where a server is away or busy, the cached body is returned. Safe to call from several threads. A body of more than
    `max_bytes`, after decompression, is refused while it arrives.

    Raises:
        ImageError: no response, a status other than 200, too many redirects, too long or too slow, or an address that
            is neither public nor allowed.
    """
    cache = _cache
    kept = cache.get(url) if cache is not None else None
    try:
        image = _running().fetch(url, kept, max_bytes)
    except _UnreachableError:
        if kept is None:
            raise
        return kept.data
    except ImageError:
        raise
    except Exception as error:
        # A URL is untrusted text for four libraries, and anyio wraps what it does not expect in groups. Whatever one of
        # them raises is the trouble of this image alone.
        raise ImageError(f"the image cannot be fetched: {shown(url)}, {first_words(error)}") from error
    if image is not kept and cache is not None:
        cache.put(url, image)
    return image.data


def _running() -> _Fetcher:
    global _fetcher
    with _lock:
        if _fetcher is None:
            _fetcher = _Fetcher(_neighbourhood)
            atexit.register(close)
        return _fetcher


def shown(url: str) -> str:
    """A URL for a message: without user and password, and shortened."""
    bare = _USERINFO.sub("//", url, count=1)
    return bare if len(bare) <= 200 else f"{bare[:199]}…"


def first_words(error: BaseException) -> str:
    """The first line of an error for a message, without user and password, or else its type; of a group its first."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    lines = str(error).splitlines() or [""]
    return _USERINFO.sub("//", lines[0])[:200] or type(error).__name__


class _Host:
    """One host's share of the connections, and its failures in a row."""

    def __init__(self) -> None:
        self.slots = asyncio.Semaphore(PER_HOST)
        self.failures = 0


class _Fetcher:
    """One client in one thread for all callers: over HTTP/2 many requests share a connection.

    Before Python 3.14 it is not safe to read and write a TLS connection from several threads, so this thread does both.
    """

    def __init__(self, neighbourhood: Neighbourhood) -> None:
        self._hosts: dict[str, _Host] = {}
        self._loop = asyncio.new_event_loop()
        self._client = _new_client(neighbourhood)
        self._thread = threading.Thread(target=self._loop.run_forever, name="fetch", daemon=True)
        self._thread.start()

    def fetch(self, url: str, kept: CachedImage | None, max_bytes: int) -> CachedImage:
        return asyncio.run_coroutine_threadsafe(self._fetch(url, kept, max_bytes), self._loop).result()

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await self._client.aclose()

    async def _fetch(self, url: str, kept: CachedImage | None, max_bytes: int) -> CachedImage:
        host = self._hosts.setdefault(_host_of(url), _Host())
        for attempt in range(RETRIES + 1):
            away = host.failures >= AWAY
            try:
                async with host.slots:
                    image = await self._ask(url, kept, max_bytes, AWAY_TIMEOUT if away else TIMEOUT)
            except _UnreachableError:
                # Otherwise each product of a host that is away would wait as long as the first one.
                if attempt == RETRIES or away:
                    host.failures += 1
                    raise
                await asyncio.sleep(FIRST_WAIT * 2**attempt * random.uniform(0.5, 1.0))
            else:
                host.failures = 0
                return image
        raise AssertionError("the last attempt either returns or raises")

    async def _ask(self, url: str, kept: CachedImage | None, max_bytes: int, timeout: float) -> CachedImage:
        """One try, redirects included."""
        import httpx2

        problem = f"the image cannot be fetched: {shown(url)}"
        conditions = kept.conditions if kept is not None else {}
        try:
            async with asyncio.timeout(MAX_SECONDS):
                request = self._client.build_request("GET", url, headers=conditions, timeout=timeout)
                for _ in range(REDIRECTS + 1):
                    response = await self._client.send(request, stream=True)
                    try:
                        if response.next_request is None:
                            return await _image(response, kept, shown(url), max_bytes)
                        # The redirect's own body may be endless, so it is not read.
                        request = response.next_request
                    finally:
                        await response.aclose()
        except TimeoutError as error:
            raise ImageError(f"{problem} takes longer than {MAX_SECONDS:.0f} s") from error
        except (httpx2.UnsupportedProtocol, httpx2.InvalidURL, httpx2.DecodingError, ValueError) as error:
            raise ImageError(f"{problem}, {first_words(error)}") from error
        except (httpx2.HTTPError, OSError) as error:
            raise _UnreachableError(f"{problem}, {first_words(error)}") from error
        raise ImageError(f"{problem}, too many redirects (more than {REDIRECTS})")


def _host_of(url: str) -> str:
    import httpx2

    try:
        target = httpx2.URL(url)
    except (httpx2.InvalidURL, ValueError) as error:
        raise ImageError(f"the image cannot be fetched: {shown(url)}, {first_words(error)}") from error
    if not target.host or target.scheme not in ("http", "https"):
        raise ImageError(f"the image cannot be fetched: {shown(url)} is not an http(s) URL with a host")
    return target.host


async def _image(response: httpx2.Response, kept: CachedImage | None, name: str, max_bytes: int) -> CachedImage:
    status = response.status_code
    if status == 304 and kept is not None:
        return kept
    if status != 200:
        refusal = _UnreachableError if status in RETRIABLE else ImageError
        raise refusal(f"the image cannot be fetched: {name} answers with status {status}")
    headers = response.headers
    declared = headers.get("Content-Length", "")
    if declared.isdecimal() and int(declared) > max_bytes:
        raise ImageError(f"the image is too large: {name} has {int(declared):,} bytes, the limit is {max_bytes:,}")
    body = bytearray()
    async for piece in response.aiter_bytes(_PIECE):
        body += piece
        if len(body) > max_bytes:
            raise ImageError(f"the image is too large: {name} has more than {max_bytes:,} bytes")
    return CachedImage(bytes(body), headers.get("ETag"), headers.get("Last-Modified"))


def _new_client(neighbourhood: Neighbourhood) -> httpx2.AsyncClient:
    from http.cookiejar import CookieJar, DefaultCookiePolicy

    import httpx2

    return httpx2.AsyncClient(
        transport=_transport(neighbourhood),
        timeout=TIMEOUT,
        follow_redirects=False,
        # A proxy from the environment would resolve names itself, without our check of the addresses.
        trust_env=False,
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        headers={"User-Agent": f"clipita/{__version__}", "Accept": "image/*", "Accept-Encoding": "identity"},
    )


def _transport(neighbourhood: Neighbourhood) -> httpx2.AsyncHTTPTransport:
    import httpcore2
    import httpx2

    class Vetted(httpcore2.AsyncNetworkBackend):
        """Connects to the addresses that were checked, whatever the name resolves to a moment later."""

        def __init__(self) -> None:
            self._inner = httpcore2.AnyIOBackend()

        async def connect_tcp(
            self,
            host: str,
            port: int,
            timeout: float | None = None,
            local_address: str | None = None,
            socket_options: Iterable[Any] | None = None,
        ) -> httpcore2.AsyncNetworkStream:
            try:
                addresses = await asyncio.to_thread(neighbourhood.addresses, host, port)
            except OSError as error:
                raise httpcore2.ConnectError(str(error)) from error
            failure: Exception = httpcore2.ConnectError(f"{host} has no address")
            for address in addresses:
                try:
                    return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
                except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                    failure = error
            raise failure

        async def sleep(self, seconds: float) -> None:
            await asyncio.sleep(seconds)

    transport = httpx2.AsyncHTTPTransport()
    # httpx's transport has no option for a network backend; httpcore's pool, which it wraps, has one.
    transport._pool = httpcore2.AsyncConnectionPool(
        ssl_context=httpx2.create_ssl_context(),
        max_connections=CONNECTIONS,
        max_keepalive_connections=CONNECTIONS,
        keepalive_expiry=30.0,
        http2=True,
        network_backend=Vetted(),
    )
    return transport
