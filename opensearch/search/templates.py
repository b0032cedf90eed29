"""Stored search templates: what a backend in another language calls by plain HTTP.

`POST /products/_search/template` with `{"id": "products-saturation", "params": {…}}` gives what `ProductSearch` gives.
It takes these parameters:

| name | meaning |
|---|---|
| query | the text, or the category's name |
| vector | its unit vector: `vector` of the category's document in `products-categories`; not for `-lexical` |
| from, size | the page; 0 and the configured size by default |
| category | the `_id` of a category's document: the page holds exactly the products with that category |
| threshold | 1 + a cosine, at which the page ends, see `thresholds` of the category; else the k nearest are added |
| weight | share of the vector; the configured one by default; not for `-hybrid` |
| filter | one query clause that products must pass, for instance {"bool": {"filter": […]}} |
| aggs | aggregations, by name |
| sort | a sort key such as {"price": "asc"}, or a list; comes before the score. `-hybrid` takes one key instead of it |

`query`, `category`, `from` and `size` may be what a visitor typed: they stand between quotation marks, with all that
could end these escaped by the cluster. `threshold` and `weight` are numbers, `vector`, `filter`, `aggs` and `sort` are
lists and objects, which the cluster writes as
JSON; a text inside them stays a text, but none of them may itself be a text from outside.
https://docs.opensearch.org/latest/api-reference/search-template/
"""

from __future__ import annotations

import dataclasses
import json
from functools import partial
from typing import Any

from opensearchpy import OpenSearch

from clipita.config import FieldsConfig, SearchConfig
from clipita.opensearch.cluster.connection import Capabilities
from clipita.opensearch.cluster.retry import Backoff
from clipita.opensearch.index.mapping import ID_FIELD
from clipita.opensearch.search.fusion import FUSIONS
from clipita.opensearch.search.options import Mode, SearchArguments
from clipita.opensearch.search.request import search_body

_QUERY, _VECTOR, _SIZE, _FROM, _SORT = ("@query@", "@vector@", "@size@", "@from@", "@sort@")
_FILTER, _CLAUSE, _AGGS, _ORDER = ("@filter@", "@clause@", "@aggs@", "@order@")
_MORE, _CATEGORY = ("@more@", "@category@")
_THRESHOLD, _WEIGHT = 0.123456789, 0.987654321
"""Numbers that no body has by itself, in place of the parameters."""


def sources(
    config: SearchConfig, capabilities: Capabilities, id_field: str = ID_FIELD, *, on_disk: bool = False
) -> dict[str, str]:
    """Suffix of the template's name to its mustache text; `hybrid` only where the plugin supports it.

    `on_disk` tells an index of vectors of few bits, which cannot be searched by a threshold.
    """
    made = partial(
        template, config, id_field=id_field, bm25_boost=capabilities.bm25_boost,
        radial=capabilities.radial and not on_disk,
    )  # fmt: skip
    found = {"lexical": made("lexical"), "saturation": made("hybrid"), "vector": made("vector")}
    return found | ({"hybrid": made("hybrid", "min_max")} if FUSIONS["min_max"].is_offered(capabilities) else {})


def template(
    config: SearchConfig, mode: Mode, fusion: str = "saturation", id_field: str = ID_FIELD, *,
    bm25_boost: float = 1.0, radial: bool = True,
) -> str:  # fmt: skip
    """Search bodies as mustache text, made from those that `ProductSearch` sends: with a category, threshold, or none.

    The cluster picks one of the bodies by the parameters. Equal products are ordered by `id_field`.
    """
    weight = config.weight_known if config.weight is None else config.weight
    arguments = SearchArguments(
        _QUERY, (0.0,), mode=mode, fusion=fusion, size=config.size, k=config.k, pivot=config.pivot,
        # Two weights whose sum is 1 cannot be made of one parameter.
        weight=weight if FUSIONS[fusion].native else _WEIGHT, fields=config.fields, lexical=config.lexical,
        layout=FieldsConfig(id=id_field), bm25_boost=bm25_boost, radial=radial,
    )  # fmt: skip
    labelled = dataclasses.replace(arguments, nodes=(_CATEGORY,), members="labelled")
    plain = _mustache(arguments, weight)
    if mode != "lexical":
        near = _mustache(dataclasses.replace(arguments, threshold=_THRESHOLD), weight)
        plain = f"{_if('threshold', near)}{_unless('threshold', plain)}"
    return f"{_if('category', _mustache(labelled, weight))}{_unless('category', plain)}"


def _mustache(arguments: SearchArguments, weight: float) -> str:
    body = search_body(arguments)
    body |= {"size": _SIZE, "from": _FROM}
    if arguments.native:
        _open_filter(body["query"]["hybrid"])
        body[_ORDER] = None
    else:
        body["sort"] = [_SORT, *body["sort"]]
        body["track_scores"] = True
        query = body["query"]["bool"]
        if "filter" in query:
            query["filter"].append(_MORE)
        else:
            query[_FILTER] = None
    body[_AGGS] = None
    _open_vectors(body)
    return _to_mustache(json.dumps(body), arguments, weight)


def _open_filter(clause: dict[str, Any]) -> None:
    """Put the mark of the filter into a clause whose filter is one clause."""
    if "filter" in clause:
        clause["filter"]["bool"]["filter"].append(_MORE)
    else:
        clause[_CLAUSE] = None


def put(
    client: OpenSearch,
    alias: str,
    config: SearchConfig,
    capabilities: Capabilities,
    id_field: str = ID_FIELD,
    backoff: Backoff | None = None,
    *,
    on_disk: bool = False,
) -> list[str]:
    """Store the templates as `<alias>-<suffix>` and return their names; needs a permission for scripts.

    Without a `backoff` a busy cluster is not waited for.
    """
    names = []
    for suffix, source in sources(config, capabilities, id_field, on_disk=on_disk).items():
        name = f"{alias}-{suffix}"
        body = {"script": {"lang": "mustache", "source": source}}
        (backoff or Backoff(patience=0)).call(client, partial(client.put_script, id=name, body=body))
        names.append(name)
    return names


def _open_vectors(value: Any) -> None:
    """Put the marks of vector and filter into every k-NN clause."""
    if isinstance(value, list):
        for inner in value:
            _open_vectors(inner)
    elif isinstance(value, dict):
        for key, inner in value.items():
            if key == "knn":
                for neighbours in inner.values():
                    neighbours["vector"] = _VECTOR
                    # All products above a threshold are found first, and filtered around the query.
                    if "k" in neighbours:
                        _open_filter(neighbours)
            else:
                _open_vectors(inner)


def _to_mustache(text: str, arguments: SearchArguments, weight: float) -> str:
    size, id_field = arguments.size, arguments.layout.id
    # A field's name is no tag, whatever it holds: JSON may write a brace as its number.
    text = text.replace("{{", "{\\u007b")
    # toJson writes a text as it is, without quotation marks; a plain tag escapes it for JSON.
    text = text.replace(_QUERY, "{{query}}").replace(f'"{_VECTOR}"', _json("vector"))
    text = text.replace(f'"{_CATEGORY}"', '"{{category}}"').replace(str(1.0 + _THRESHOLD), "{{threshold}}")
    text = text.replace(str(_WEIGHT), f"{{{{weight}}}}{_unless('weight', str(float(weight)))}")
    for mark, name, default in ((_SIZE, "size", size), (_FROM, "from", 0)):
        text = text.replace(f'"{mark}"', f'"{{{{{name}}}}}{{{{^{name}}}}}{default}{{{{/{name}}}}}"')
    # A section repeats for each entry of a list, and `.` is the entry.
    text = text.replace(f'"{_SORT}", ', _if("sort", f"{_json('.')}, "))
    text = text.replace(f', "{_ORDER}": null', _if("sort", f', "sort": [{_json(".")}, {{"{id_field}": "asc"}}]'))
    text = text.replace(f', "{_MORE}"', _if("filter", f", {_json('filter')}"))
    text = text.replace(f', "{_FILTER}": null', _if("filter", f', "filter": [{_json("filter")}]'))
    text = text.replace(f', "{_CLAUSE}": null', _if("filter", f', "filter": {_json("filter")}'))
    return text.replace(f', "{_AGGS}": null', _if("aggs", f', "aggs": {_json("aggs")}'))


def _json(name: str) -> str:
    return f"{{{{#toJson}}}}{name}{{{{/toJson}}}}"


def _if(name: str, content: str) -> str:
    return f"{{{{#{name}}}}}{content}{{{{/{name}}}}}"


def _unless(name: str, content: str) -> str:
    return f"{{{{^{name}}}}}{content}{{{{/{name}}}}}"
