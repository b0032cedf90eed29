"""The OpenAPI 3.1 description, made from the types and the table that requests and answers are made of."""

from __future__ import annotations

import functools
from typing import Any

import msgspec

from clipita import __version__
from clipita.opensearch.search.results import FacetValue, Hit, SearchPage
from clipita.option_table import Option
from clipita.serve.embedding import ProductBody, Products, Texts
from clipita.serve.query_string import CONDITIONS, OPTIONS, PARAMETERS

_VALUE: dict[str, Any] = {"type": ["string", "number", "boolean"]}
_FILTERS: dict[str, Any] = {
    "type": "object",
    "description": OPTIONS["filters"].help,
    "examples": [{"brand": ["Nike"], "price": {"lte": 80}}],
    "additionalProperties": {
        "oneOf": [
            _VALUE,
            {"type": "array", "items": _VALUE},
            {"type": "object", "properties": {name: {} for name in CONDITIONS}, "additionalProperties": False},
        ]
    },
}
_ERRORS = {
    "400": "The request is not valid.",
    "401": "The API key is missing or wrong.",
    "403": "A server without a key on this machine is called by a name that it does not know.",
    "408": "The request's body came too slowly.",
    "413": "The request is too large.",
    "501": "This server or its cluster cannot do that.",
    "502": "The search cluster failed.",
    "503": "Busy, or the search cluster is away; see Retry-After.",
    "504": "It took too long.",
}


class Problem(msgspec.Struct):
    """An HTTP error response."""

    error: str
    hint: str | None
    request_id: str


class Vectors(msgspec.Struct):
    """Unit vectors, in the order of the request."""

    vectors: list[list[float]]
    dim: int
    fingerprint: str


class Category(msgspec.Struct):
    """A node of the category tree."""

    name: str
    path: list[str]
    count: int
    children: list[Category]


class Tree(msgspec.Struct):
    """The category tree."""

    total: int
    categories: list[Category]


@functools.cache
def description() -> dict[str, Any]:
    """The document."""
    types = [SearchPage, Hit, FacetValue, Problem, Vectors, Tree, Texts, Products, ProductBody]
    _, schemas = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    form = {**schemas["ProductBody"]["properties"], "image": {"type": "string", "format": "binary"}}
    search = {
        "type": "object",
        "properties": {name: _FILTERS if name == "filters" else _schema(entry) for name, entry in OPTIONS.items()},
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "clipita",
            "version": __version__,
            "description": "Category search over product images. Every answer carries X-Request-Id; a caller's own "
            "X-Opaque-Id or X-Request-Id is kept and passed on to OpenSearch.",
        },
        "security": [{}, {"key": []}, {"bearer": []}],
        "paths": {
            "/v1/search": {
                "get": _operation("Search by category or free text", "SearchPage", parameters=_parameters()),
                "post": _operation("The same, as JSON", "SearchPage", requestBody=_body(search)),
            },
            "/v1/categories": {"get": _operation("The category tree with its counts", "Tree")},
            "/v1/index": {"get": _operation("The index, and the fields to filter and count by", None)},
            "/v1/embed/text": {
                "post": _operation("Vectors of texts", "Vectors", requestBody=_body(_reference("Texts")))
            },
            "/v1/embed/product": {
                "post": _operation("Vectors of products", "Vectors", requestBody=_body(_reference("Products"), form))
            },
            "/healthz": {"get": _operation("Whether the process lives", None, security=[])},
            "/readyz": {"get": _operation("Whether a search would get an answer", None, security=[])},
            "/metrics": {"get": _operation("Numbers for Prometheus", None, text=True)},
        },
        "components": {
            "securitySchemes": {
                "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
                "bearer": {"type": "http", "scheme": "bearer"},
            },
            "schemas": schemas,
        },
    }


def _parameters() -> list[dict[str, Any]]:
    plain = [
        {"name": name, "in": "query", "description": entry.help, "schema": _schema(entry, single=not entry.one)}
        for name, entry in PARAMETERS.items()
    ]
    filters = {"name": "filter", "in": "query", "style": "deepObject", "explode": True, "schema": _FILTERS}
    about = (
        "`filter[brand]=Nike`, repeated for alternatives; `filter[price][lte]=80`; `filter[brand][exists]=true`; "
        "`filter[title][match]=words` that all must be in the text."
    )
    return [*plain, {**filters, "description": about}]


def _schema(entry: Option, *, single: bool | None = None) -> dict[str, Any]:
    """Of an option in JSON, or in a query string: of one text, or of repeated ones."""
    if single is False:
        schema: dict[str, Any] = {"type": "array", "items": {"type": "string"}}
    else:
        schema = msgspec.json.schema(str if single and entry.is_list else entry.bounded)
    if entry.choices:
        schema = {"type": "string", "enum": list(entry.choices)}
    return {**schema, "description": entry.help}


def _reference(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _operation(summary: str, answer: str | None, *, text: bool = False, **rest: Any) -> dict[str, Any]:
    schema = _reference(answer) if answer else {"type": "object"}
    content: dict[str, Any] = {"text/plain": {}} if text else {"application/json": {"schema": schema}}
    problem = {"application/json": {"schema": _reference("Problem")}}
    errors = {status: {"description": words, "content": problem} for status, words in _ERRORS.items()}
    return {
        "summary": summary,
        "responses": {"200": {"description": "The answer.", "content": content}, **errors},
        **rest,
    }


def _body(json: dict[str, Any], form: dict[str, Any] | None = None) -> dict[str, Any]:
    content = {"application/json": {"schema": json}}
    if form is not None:
        content["multipart/form-data"] = {"schema": {"type": "object", "properties": form}}
    return {"required": True, "content": content}
