"""The application: its routes."""

from __future__ import annotations

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

from clipita.config import OpenSearchConfig, ServeConfig
from clipita.errors import ClipItaError, RequestError
from clipita.opensearch.cluster.errors import guarded
from clipita.opensearch.search.client import ProductSearch
from clipita.serve.embedding import json_in, products_in, texts_in
from clipita.serve.errors import error_response
from clipita.serve.metrics import Metrics
from clipita.serve.middleware import Gate
from clipita.serve.query_string import from_json, from_query_string
from clipita.serve.schema import description
from clipita.serve.service import Models, Service

READY_SECONDS = 5.0


def create_app(
    search: ProductSearch, opensearch: OpenSearchConfig, models: Models | None, config: ServeConfig
) -> ASGIApp:
    """The application for uvicorn or any other ASGI server.

    Without `models` it searches by words and by stored category vectors. `search` plans the searches, which are sent by
    a client of their own, made from `opensearch`.
    """
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        app.state.service = Service(search, opensearch, models, config, metrics)
        yield
        await app.state.service.close()

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
    return _sent(await _service(request).find(given))


async def categories(request: Request) -> Response:
    """`/v1/categories`."""
    return _json(await _service(request).shop.categories())


async def about_index(request: Request) -> Response:
    """`/v1/index`."""
    service = _service(request)
    index = service.planner.index
    about = {
        "alias": service.planner.alias,
        "index": index.name,
        "model": index.meta.get("model"),
        "fingerprint": index.fingerprint,
        "free_text": service.models is not None,
        "mode": service.planner.config.mode,
        "size": service.planner.config.size,
    }
    return _json({**about, **await service.shop.fields()})


async def embed_texts(request: Request) -> Response:
    """`/v1/embed/text`."""
    service = _service(request)
    return _vectors(service, await service.embed_texts(texts_in(json_in(await request.body()))))


async def embed_products(request: Request) -> Response:
    """`/v1/embed/product`."""
    service = _service(request)
    return _vectors(service, await service.embed_products(await products_in(request)))


async def ready(request: Request) -> Response:
    """`/readyz`: whether a search can be answered now."""
    service = _service(request)
    client, alias = service.client, service.planner.alias
    with guarded(service.where):
        there = await client.indices.exists_alias(name=alias, params={"request_timeout": READY_SECONDS})
    if not there:
        raise RequestError(f"The index {alias} is gone.", status=503, hint=f"Make it with: clipita ingest {alias}")
    return _json({"status": "ready"})


def page(name: str) -> Callable[[Request], Response]:
    """An endpoint that sends one of our HTML files."""
    content = files("clipita.serve").joinpath("static", name).read_bytes()

    def send(_: Request) -> Response:
        return Response(content, media_type="text/html", headers={"cache-control": "no-cache"})

    return send


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


def _json(content: Any) -> Response:
    return _sent(orjson.dumps(content, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY))


def _sent(body: bytes) -> Response:
    return Response(body, media_type="application/json", headers={"cache-control": "no-store"})


def _vectors(service: Service, vectors: Any) -> Response:
    fingerprint = None if service.models is None else service.models.bundle.fingerprint
    return _json({"vectors": vectors, "dim": vectors.shape[1], "fingerprint": fingerprint})


def _error(request: Request, error: Exception) -> Response:
    return error_response(error, request.scope["request_id"])
