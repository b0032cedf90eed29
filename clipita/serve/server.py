"""The process: uvicorn with our application, from the first request to the end of the last."""

from __future__ import annotations

import gc
import signal
import socket
from collections.abc import Callable
from typing import Any

import uvicorn

from clipita.config import OpenSearchConfig, ServeConfig
from clipita.errors import ConfigError
from clipita.opensearch.search.client import ProductSearch
from clipita.serve.app import create_app
from clipita.serve.service import Models

BACKLOG = 1024
GARBAGE = 50_000
"""New objects between two garbage collections; a page of 24 products makes some thousands, and no cycles."""


def run(
    search: ProductSearch,
    opensearch: OpenSearchConfig,
    models: Models | None,
    config: ServeConfig,
    greet: Callable[[str], None],
) -> None:
    """Serve until SIGTERM or SIGINT; what runs then is finished, for `drain` seconds at most.

    Args:
        search: connected.
        opensearch: how to connect.
        models: the encoders, if there are any.
        config: where to listen, and the limits.
        greet: told the address as soon as it answers.

    Raises:
        ConfigError: the address cannot be listened on.
    """
    listener = _listen(config.host, config.port)
    settings = uvicorn.Config(
        create_app(search, opensearch, models, config),
        log_level="warning",
        access_log=False,
        backlog=BACKLOG,
        server_header=False,
        # Nobody here asks where a request came from.
        proxy_headers=False,
        timeout_graceful_shutdown=max(1, round(config.drain)),
        lifespan="on",
    )
    server = _Server(settings, lambda: greet(_address(listener)))
    # uvicorn raises the signal that stopped it once more at its end; with these handlers a stop that was asked for is
    # an ordinary end.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _already_stopped)
    server.run(sockets=[listener])


class _Server(uvicorn.Server):
    """Says when it listens."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._say = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            # What is there now stays until the end; without it, collections during requests have little to look at.
            gc.collect()
            gc.freeze()
            gc.set_threshold(GARBAGE)
            self._say()


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        raise ConfigError(f"{host}:{port} cannot be listened on: {error}.", hint="Choose another --port.") from None
    return listener


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _already_stopped(*_: Any) -> None:
    """The signal was handled."""
