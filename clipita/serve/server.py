"""The server process: uvicorn with our application."""

from __future__ import annotations

import gc
import signal
import socket
from collections.abc import Callable

import uvicorn

from clipita.config import OpenSearchConfig
from clipita.errors import ConfigError
from clipita.opensearch.search.client import ProductSearch
from clipita.serve.app import create_app
from clipita.serve.encoders import Bundles, Models
from clipita.serve_config import ServeConfig

BACKLOG = 1024
GARBAGE = 50_000
"""New objects between two garbage collections; a page of 24 products makes thousands, without cycles."""


def run(
    search: ProductSearch,
    opensearch: OpenSearchConfig,
    models: Models | None,
    config: ServeConfig,
    bundles: Bundles | None,
    greet: Callable[[str], None],
) -> None:
    """Serve until SIGTERM or SIGINT; running requests are then finished, within `drain` seconds.

    `greet` is called with the address as soon as it answers. A ConfigError says that it cannot be listened on.
    """
    listener = _listen(config.host, config.port, config.request_timeout)
    settings = uvicorn.Config(
        create_app(search, opensearch, models, config, bundles),
        log_level="warning",
        access_log=False,
        backlog=BACKLOG,
        server_header=False,
        # The address of a request's sender is not used.
        proxy_headers=False,
        timeout_graceful_shutdown=max(1, round(config.drain)),
        lifespan="on",
    )
    host, port = listener.getsockname()[:2]
    address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    server = _Server(settings, lambda: greet(address))
    # uvicorn raises the signal that stopped it again at its end; these handlers make that an ordinary end.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    server.run(sockets=[listener])


class _Server(uvicorn.Server):
    """Calls `started` when it listens."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._notify = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            # Objects that exist now stay until the end; frozen, they cost nothing in later collections.
            gc.collect()
            gc.freeze()
            gc.set_threshold(GARBAGE)
            self._notify()


def _listen(host: str, port: int, seconds: float) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # A caller that stops taking its answer is cut off, also by a closed transport that waits to empty its buffer:
        # https://www.rfc-editor.org/rfc/rfc5482. The connections inherit it.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(seconds * 1000))
        listener.bind((host, port))
    except OSError as error:
        raise ConfigError(f"{host}:{port} cannot be listened on: {error}.", hint="Choose another --port.") from None
    return listener
