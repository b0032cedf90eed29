"""The interface's description, OpenAPI 3.1; what searches take comes from the table that reads them."""

from __future__ import annotations

import functools
from typing import Any

from clipita import __version__
from clipita.serve.embedding import MAX_PRODUCTS, MAX_TEXTS
from clipita.serve.query_string import CONDITIONS, SEARCH, Parameter

_TYPES: dict[str, dict[str, Any]] = {
    "text": {"type": "string"},
    "path": {"type": "string"},
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "boolean": {"type": "boolean"},
    "list": {"type": "array", "items": {"type": "string"}},
    "flag_or_list": {"type": "array", "items": {"type": "string"}},
}
_IN_JSON: dict[str, dict[str, Any]] = {
    "path": {"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
    "flag_or_list": {"oneOf": [{"type": "boolean"}, {"type": "array", "items": {"type": "string"}}]},
}
_VALUE: dict[str, Any] = {"type": ["string", "number", "boolean"]}
_FILTERS: dict[str, Any] = {
    "type": "object",
    "description": "Field to a value, a list, or conditions. A filter on a field that is also a facet narrows "
    "everything but that facet.",
    "examples": [{"brand": ["Nike"], "price": {"lte": 80}}],
    "additionalProperties": {
        "oneOf": [
            _VALUE,
            {"type": "array", "items": _VALUE},
            {"type": "object", "properties": {name: {} for name in CONDITIONS}, "additionalProperties": False},
        ]
    },
}
_HIT: dict[str, Any] = {
    "id": {"type": "string"},
    "score": {"type": ["number", "null"]},
    "title": {"type": ["string", "null"]},
    "source": {"type": "object", "description": "The shop's own fields."},
    "image": {
        "type": ["string", "null"],
        "description": "What the product says of its picture, most often an address.",
    },
    "category_path": {"type": "array", "items": {"type": "string"}, "description": "From the root on."},
    "thumbnail": {"type": ["string", "null"], "description": "A JPEG in base64, if asked for."},
    "highlights": {"type": "object", "description": "Field to its text as HTML, matching words in <em>."},
    "explanation": {
        "type": ["object", "null"],
        "description": "score = (lexical + vector) times every boost.",
        "properties": {
            "bm25": {"type": ["number", "null"]},
            "lexical": {"type": "number"},
            "cosine": {"type": ["number", "null"]},
            "vector": {"type": "number"},
            "boosts": {"type": "object"},
        },
    },
    "variants": {"type": "array", "items": {"$ref": "#/components/schemas/Hit"}},
    "group_size": {"type": ["integer", "null"]},
}
_PAGE: dict[str, Any] = {
    "query": {"type": "string"},
    "hits": {"type": "array", "items": {"$ref": "#/components/schemas/Hit"}},
    "total": {"type": "integer"},
    "facets": {
        "type": "object",
        "additionalProperties": {"type": "array", "items": {"$ref": "#/components/schemas/FacetValue"}},
    },
    "took_ms": {"type": "integer"},
    "mode": {"type": "string"},
    "page": {"type": "integer"},
    "size": {"type": "integer"},
    "remarks": {"type": "array", "items": {"type": "string"}},
    "cursor": {"type": ["string", "null"]},
    "groups": {"type": ["integer", "null"]},
}
_VECTORS: dict[str, Any] = {
    "vectors": {"type": "array", "items": {"type": "array", "items": {"type": "number"}}},
    "dim": {"type": "integer"},
    "fingerprint": {"type": "string"},
}
_PRODUCT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "title": {"type": "string"},
        "attributes": {"type": "object", "additionalProperties": {"type": "string"}},
        "image": {"type": "string", "contentEncoding": "base64", "description": "The picture's bytes, no address."},
    },
}
_ERRORS = {
    "400": "The request is off.",
    "401": "The API key is missing or wrong.",
    "413": "The request is too large.",
    "501": "This server or its cluster cannot do that.",
    "502": "The search cluster failed.",
    "503": "Busy, or the search cluster is away; see Retry-After.",
    "504": "It took too long.",
}


@functools.cache
def description() -> dict[str, Any]:
    """The document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "clipita",
            "version": __version__,
            "description": "Category search over product pictures. Every answer carries X-Request-Id; a caller's own "
            "X-Opaque-Id or X-Request-Id is kept and passed on to OpenSearch.",
        },
        "security": [{}, {"key": []}, {"bearer": []}],
        "paths": _paths(),
        "components": {
            "securitySchemes": {
                "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
                "bearer": {"type": "http", "scheme": "bearer"},
            },
            "schemas": {
                "Hit": _object(_HIT),
                "FacetValue": _object({"value": _VALUE, "count": {"type": "integer"}, "selected": {"type": "boolean"}}),
                "SearchPage": _object(_PAGE),
                "Vectors": _object(_VECTORS),
                "Category": _object(
                    {
                        "name": {"type": "string"},
                        "path": {"type": "array", "items": {"type": "string"}},
                        "count": {"type": "integer"},
                        "children": {"type": "array", "items": {"$ref": "#/components/schemas/Category"}},
                    }
                ),
                "Problem": _object(
                    {
                        "error": {"type": "string"},
                        "hint": {"type": ["string", "null"]},
                        "request_id": {"type": "string"},
                    }
                ),
            },
        },
    }


def _paths() -> dict[str, Any]:
    texts = _object({"texts": {"type": "array", "items": {"type": "string"}, "maxItems": MAX_TEXTS}})
    products = _object({"products": {"type": "array", "items": _PRODUCT, "maxItems": MAX_PRODUCTS}})
    form = {"type": "object", "properties": {**_PRODUCT["properties"], "image": {"type": "string", "format": "binary"}}}
    wanted = {"type": "object", "properties": {p.option: _schema(p, _IN_JSON) for p in SEARCH} | {"filters": _FILTERS}}
    tree = _object(
        {
            "total": {"type": "integer"},
            "categories": {"type": "array", "items": {"$ref": "#/components/schemas/Category"}},
        }
    )
    return {
        "/v1/search": {
            "get": _operation("Search by category or free text", "SearchPage", parameters=_query_parameters()),
            "post": _operation("The same, as JSON", "SearchPage", body={"application/json": wanted}),
        },
        "/v1/categories": {"get": _operation("The category tree with its counts", tree)},
        "/v1/index": {"get": _operation("The index, and the fields one can choose by", {"type": "object"})},
        "/v1/embed/text": {
            "post": _operation("Vectors of texts", "Vectors", body={"application/json": texts}),
        },
        "/v1/embed/product": {
            "post": _operation(
                "Vectors of products", "Vectors", body={"application/json": products, "multipart/form-data": form}
            ),
        },
        "/healthz": {"get": _operation("Whether the process lives", {"type": "object"}, open_to_all=True)},
        "/readyz": {"get": _operation("Whether a search would get an answer", {"type": "object"}, open_to_all=True)},
        "/metrics": {"get": _operation("Numbers for Prometheus", None)},
    }


def _query_parameters() -> list[dict[str, Any]]:
    plain = [{"name": p.name, "in": "query", "description": p.about, "schema": _schema(p, {})} for p in SEARCH]
    filters = {"name": "filter", "in": "query", "style": "deepObject", "explode": True, "schema": _FILTERS}
    about = "`filter[brand]=Nike`, repeated for alternatives; `filter[price][lte]=80`; `filter[brand][exists]=true`."
    return [*plain, {**filters, "description": about}]


def _schema(parameter: Parameter, other: dict[str, dict[str, Any]]) -> dict[str, Any]:
    schema = dict(other.get(parameter.kind, _TYPES[parameter.kind]))
    if parameter.choices:
        schema["enum"] = list(parameter.choices)
    return {**schema, "description": parameter.about}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def _operation(
    summary: str,
    answer: str | dict[str, Any] | None,
    *,
    parameters: list[dict[str, Any]] | None = None,
    body: dict[str, Any] | None = None,
    open_to_all: bool = False,
) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{answer}"} if isinstance(answer, str) else answer
    content = {"text/plain": {}} if schema is None else {"application/json": {"schema": schema}}
    problem = {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    operation: dict[str, Any] = {
        "summary": summary,
        "responses": {
            "200": {"description": "The answer.", "content": content},
            **{status: {"description": text, "content": problem} for status, text in _ERRORS.items()},
        },
    }
    if parameters is not None:
        operation["parameters"] = parameters
    if body is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {kind: {"schema": schema} for kind, schema in body.items()},
        }
    if open_to_all:
        operation["security"] = []
    return operation
