"""`clipita serve`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clipita import config
from clipita.cli import console
from clipita.cli.common import config_option, device_option, flags, index_option, model_option, url_option
from clipita.errors import ConfigError, MissingExtraError, UsageError
from clipita.option_table import options
from clipita.serve_config import ServeConfig

if TYPE_CHECKING:
    from clipita.opensearch.search.client import ProductSearch

SHORTEST_KEY = 16


@click.command("serve")
@flags(options(ServeConfig), "host", "port", "api_key_file", "models", "cors_origins", "allowed_hosts")
@model_option
@click.option("--no-model", is_flag=True, help="Serve words and stored category vectors alone; needs no onnxruntime.")
@index_option
@url_option
@device_option
@config_option
def command(
    model: Path | None,
    no_model: bool,
    index: str | None,
    url: str | None,
    device: str | None,
    config_file: Path | None,
    **given: Any,
) -> None:
    """Serve search, encoders and a storefront page over HTTP.

    The page is at /, the interface's description at /docs. Stop it with Ctrl-C or SIGTERM: what runs is finished.

    \b
    Example:
      clipita serve --index products
      clipita serve --index products --models models
      clipita serve --host 0.0.0.0 --api-key-file /run/secrets/clipita
      curl -s 'http://127.0.0.1:8080/v1/search?category=Kurtas&filter[price][lte]=80&facet=brand'
    """
    settings = config.load(config_file)
    cluster = config.override(settings.opensearch, url=url, index=index)
    serve = with_key(config.override(settings.serve, **given))
    try:
        from clipita.serve import server
        from clipita.serve.middleware import is_loopback
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "starlette", "serve") from None
    from clipita.opensearch.search.client import ProductSearch
    from clipita.serve.encoders import Bundles

    if no_model and serve.models is not None:
        raise UsageError("--no-model and a folder of bundles (--models) are both given.", hint="Leave one out.")
    if serve.models is not None and not serve.models.is_dir():
        raise ConfigError(f"{serve.models} is not a folder.", hint="Name the folder that holds the bundles.")
    folder = model or settings.export.bundle
    folders = (folder,) if serve.models is None else (*([model] if model else []), serve.models)
    bundles = None if no_model else Bundles(folders, device or settings.ingest.device)
    defaults = settings.given.get("search")
    models = vectors = None
    if bundles is not None and serve.models is None:
        models, vectors = bundles.load(folder)
    search = ProductSearch(None, cluster.index, vectors, defaults, cluster)
    if bundles is not None and serve.models is not None:
        fitting = bundles.find(search.fingerprint)
        if fitting is None:
            console.note(
                f"{search.index.name} holds vectors of model {search.fingerprint}, and {serve.models} has no bundle of "
                "it: words and stored category vectors alone are searched until it has."
            )
        else:
            models, vectors = bundles.load(fitting)
            search = ProductSearch(search.client, cluster.index, vectors, defaults)
    if not is_loopback(serve.host) and serve.api_key is None:
        console.note(f"Anybody who reaches {serve.host} may search: no API key is set (--api-key-file).")
    server.run(search, cluster, models, serve, bundles, lambda address: _greet(address, search))


def with_key(serve: ServeConfig) -> ServeConfig:
    """The settings with the API key read from its file; a ConfigError if it is unreadable or too short."""
    key = serve.api_key
    if serve.api_key_file is not None:
        try:
            key = serve.api_key_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"The API key's file {serve.api_key_file} cannot be read: {error}.") from error
    if key is not None and (len(key) < SHORTEST_KEY or not key.isascii() or not key.isprintable()):
        raise ConfigError(
            f"The API key is shorter than {SHORTEST_KEY} characters, or holds others than plain ASCII.",
            hint="Make one with: openssl rand -hex 24",
        )
    return dataclasses.replace(serve, api_key=key)


def _greet(address: str, search: ProductSearch) -> None:
    console.note(f"Serving {search.alias} ({search.index.name}) at {address} - the interface is at {address}/docs")
