"""Settings of the server; `config` reads them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from clipita.option_table import option


@dataclass(frozen=True)
class ServeConfig:
    """The server: clipita serve.

    The API key is never read from this file: set CLIPITA_SERVE_API_KEY, or name an api_key_file.
    """

    host: str = option("127.0.0.1", "Address to listen on; 127.0.0.1 is this machine alone.")
    port: int = option(8080, "Port to listen on; 0 takes any free one.", ge=0, le=65535)
    api_key: str | None = option(None, "Only from the environment: CLIPITA_SERVE_API_KEY.", secret=True, repr=False)
    api_key_file: Path | None = option(
        None,
        "File that holds the key which callers must send; without a key, everybody may call.",
        example="/run/secrets/clipita",
    )
    models: Path | None = option(
        None,
        "Folder of bundles: the server takes the one of the index's model, and goes over to the next model's bundle "
        "when the alias moves.",
        example="models",
    )
    cors_origins: tuple[str, ...] = option(
        (), "Pages of other origins that may call, such as https://shop.example; default none.", one="cors_origin"
    )
    allowed_hosts: tuple[str, ...] = option(
        (),
        "Names under which callers reach the server, such as shop.example, if it requires no key and listens on this "
        "machine alone; localhost, 127.0.0.1 and [::1] always hold.",
        one="allowed_host",
    )
    batch_size: int = option(32, "Texts or products encoded at once.", ge=1)
    queue: int = option(256, "Texts or products that may wait for the model; more are answered with 503.", ge=1)
    max_requests: int = option(256, "Requests under way at a time; more are answered with 503.", ge=1)
    body_timeout: float = option(
        10.0, "Seconds for a request's body to arrive, and one more per MiB of it; then the answer is 408.", gt=0
    )
    request_timeout: float = option(30.0, "Seconds from a request to the end of its answer.", gt=0)
    drain: float = option(30.0, "Seconds that running requests have when the server is stopped.", ge=0)
