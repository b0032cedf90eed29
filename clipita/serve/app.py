"""The application: its routes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Any

import orjson
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from clipita.config import OpenSearchConfig
from clipita.errors import ClipItaError, IndexMissingError, RequestError
from clipita.opensearch.search.client import ProductSearch
from clipita.serve.embedding import json_in, products_in, texts_in
from clipita.serve.encoders import Bundles, Models
from clipita.serve.errors import error_response
from clipita.serve.following import Follower
from clipita.serve.metrics import Metrics
from clipita.serve.middleware import Gate
from clipita.serve.query_string import from_json, from_query_string
from clipita.serve.schema import description
from clipita.serve.service import Service
from clipita.serve_config import ServeConfig

READY_SECONDS = 5.0


def create_app(
    search: ProductSearch,
    opensearch: OpenSearchConfig,
    models: Models | None,
    config: ServeConfig,
    bundles: Bundles | None = None,
) -> ASGIApp:
    """The application for uvicorn or any other ASGI server.

    Without `models` it searches by words and by stored category vectors. `search` plans the searches, which are sent by
    a client of their own, made from `opensearch`. When the alias moves to an index of another model, its bundle is
    looked for among `bundles`.
    """
    bundles = bundles or (Bundles((models.bundle.path,), models.device) if models is not None else None)
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        app.state.follower = Follower(search, opensearch, models, bundles, config, metrics)
        yield
        await app.state.follower.close()

    routes = [
        Route("/v1/search", search_products, methods=["GET", "POST"]),
        Route("/v1/categories", categories),
        Route("/v1/index", about_index),
        Route("/v1/embed/text", embed_texts, methods=["POST"]),
        Route("/v1/embed/product", embed_products, methods=["POST"]),
        Route("/openapi.json", lambda _: _json(description())),
        Route("/healthz", lambda _: _json({"status": "alive"})),
        Route("/readyz", ready),
        Route("/metrics", lambda _: Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)),
        Route("/", page("index.html")),
        Route("/docs", page("docs.html")),
        Mount("/static", StaticFiles(packages=[("clipita.serve", "static")])),
    ]
    handlers = dict.fromkeys((HTTPException, ClipItaError, Exception), _error)
    app = Starlette(routes=routes, lifespan=lifespan, exception_handlers=handlers)
    endpoints = frozenset(route.path for route in routes if isinstance(route, Route))
    gate = Gate(app, config, metrics, endpoints)
    if not config.cors_origins:
        return gate
    # Around the gate: a preflight request carries no key.
    return CORSMiddleware(
        gate,
        allow_origins=config.cors_origins,
        allow_methods=["GET", "POST"],
        allow_headers=["authorization", "content-type", "x-api-key", "x-opaque-id", "x-request-id"],
        expose_headers=["x-request-id", "retry-after"],
    )


async def search_products(request: Request) -> Response:
    """`/v1/search`."""
    if request.method == "POST":
        given = from_json(json_in(await request.body()))
    else:
        given = from_query_string(request.query_params.multi_items())
    return _sent(await _follower(request).ask(lambda service: service.find(given)))


async def categories(request: Request) -> Response:
    """`/v1/categories`."""
    return _json(await _follower(request).ask(lambda service: service.shop.categories()))


async def about_index(request: Request) -> Response:
    """`/v1/index`."""
    return _json(await _follower(request).ask(Service.about))


async def embed_texts(request: Request) -> Response:
    """`/v1/embed/text`."""
    texts = texts_in(json_in(await request.body()))
    return _json(await _follower(request).ask(lambda service: service.embed_texts(texts)))


async def embed_products(request: Request) -> Response:
    """`/v1/embed/product`."""
    products = await products_in(request)
    return _json(await _follower(request).ask(lambda service: service.embed_products(products)))


async def ready(request: Request) -> Response:
    """`/readyz`: whether a search can be answered now, with the model of its index."""
    follower = _follower(request)
    alias = follower.current.planner.alias
    try:
        async with asyncio.timeout(READY_SECONDS):
            await follower.follow(follower.current)
    except IndexMissingError:
        raise RequestError(
            f"The index {alias} is gone.", status=503, hint=f"Make it with: clipita ingest {alias}"
        ) from None
    if (missing := follower.current.missing) is not None:
        hint = "Put that bundle where --model or --models looks; until then words and stored category vectors answer."
        raise RequestError(missing, status=503, hint=hint)
    return _json({"status": "ready"})


def page(name: str) -> Callable[[Request], Response]:
    """An endpoint that sends one of our HTML files."""
    content = files("clipita.serve").joinpath("static", name).read_bytes()

    def send(_: Request) -> Response:
        return Response(content, media_type="text/html", headers={"cache-control": "no-cache"})

    return send


def _follower(request: Request) -> Follower:
    follower: Follower = request.app.state.follower
    return follower


def _json(content: Any) -> Response:
    return _sent(orjson.dumps(content, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY))


def _sent(body: bytes) -> Response:
    return Response(body, media_type="application/json", headers={"cache-control": "no-store"})


def _error(request: Request, error: Exception) -> Response:
    return error_response(error, request.scope["request_id"])
