"""What is fuzzed: each target is a strategy of inputs and a function that may raise a ClipItaError and nothing else."""

from __future__ import annotations

import base64
import copy
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from fuzz_mutation import Target, mutated, mutations
from fuzz_outside import bulks, locations, requests
from hypothesis import strategies as st
from PIL import Image

from clipita.catalogue.images.decode import load_image
from clipita.catalogue.product import ImageSource
from clipita.catalogue.reader import CatalogueFile
from clipita.config import FieldsConfig
from clipita.files import sha256
from clipita.opensearch.search.cursor import Cursor
from clipita.opensearch.search.options import SearchArguments
from clipita.opensearch.search.request import search_body
from clipita.runtime.bundle import MANIFEST, REQUIRED_FILES, Bundle, fingerprint_of
from clipita.runtime.preprocess import to_pixels
from clipita.serve.query_string import OPTIONS, PARAMETERS, from_json, from_query_string

ROWS = [
    {"product_id": "p1", "title": "Red kurta", "category_path": ["Apparel", "Kurtas"], "attributes": {"colour": "Red"},
     "image": None, "price": 12.5, "tags": ["a", "b"]},
    {"product_id": "p2", "title": None, "category_path": "Home > Plates",
     "attributes": {}, "image": "x.jpg", "price": 3},
    {"product_id": 7, "title": "ä 😀 \"quoted\", text", "category_path": [],
     "attributes": {"size": "L"}, "price": None},
]  # fmt: skip


def readers(folder: Path) -> Target:
    """Catalogue files of every format, damaged in all sorts of ways; every row is read."""
    lines = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
    table = "product_id,title,category_path,attributes,image,price\n" + "".join(
        f'p{n},"Red, ""fine"" kurta {n}",Apparel > Kurtas,"{{""colour"": ""Red""}}",,{n}.5\n' for n in range(3)
    )
    parquet = io.BytesIO()
    arrow = pa.Table.from_pylist(
        [{"product_id": f"p{n}", "title": "kurta", "category_path": ["A", "B"], "image": {"bytes": b"x", "path": "p"},
          "attributes": [("colour", "red")]} for n in range(3)],
        schema=pa.schema({"product_id": pa.string(), "title": pa.string(), "category_path": pa.list_(pa.string()),
                          "image": pa.struct({"bytes": pa.binary(), "path": pa.string()}),
                          "attributes": pa.map_(pa.string(), pa.string())}),
    )  # fmt: skip
    pq.write_table(arrow, parquet)
    seeds = [
        ("c.jsonl", lines), ("c.json", lines), ("c.jsonl.gz", gzip.compress(lines)), ("c.csv", table.encode()),
        ("c.tsv", table.replace(",", "\t").encode()), ("c.csv.gz", gzip.compress(table.encode())),
        ("c.parquet", parquet.getvalue()), ("c.csv", table.encode("utf-16")),
    ]  # fmt: skip
    fields = (FieldsConfig(), FieldsConfig(attributes=("title", "price"), image=""))

    def read(case: tuple[tuple[str, bytes], bytes]) -> None:
        (name, base), script = case
        file = folder / name
        file.write_bytes(mutated(base, script))
        CatalogueFile(file, fields[len(script) % 2])
        for _ in CatalogueFile(file, fields[len(script) % 2]).products(on_reject=lambda rejection: rejection.reason):
            pass

    return mutations(seeds), read


def images(_folder: Path) -> Target:
    """Pictures of every format, damaged; decoded in full and for a small size."""
    seeds = []
    for form, options in (("JPEG", {}), ("JPEG", {"progressive": True}), ("PNG", {}), ("GIF", {}), ("BMP", {}),
                          ("WEBP", {}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"})):  # fmt: skip
        picture = Image.radial_gradient("L").resize((40, 30)).convert("P" if form == "GIF" else "RGB")
        stream = io.BytesIO()
        picture.save(stream, form, **options)
        seeds.append(stream.getvalue())
    seeds += [b"<html>no picture</html>", b"%PDF-1.4", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b""]

    def read(case: tuple[bytes, bytes]) -> None:
        base, script = case
        picture = load_image(ImageSource(mutated(base, script), "fuzz"), (16, 16) if len(script) % 2 else None)
        assert picture.mode == "RGB"
        assert min(picture.size) > 0

    return mutations(seeds), read


def bundles(folder: Path) -> Target:
    """Manifests with any JSON at any place, some with their fingerprint put right, and damaged bytes."""
    for name in REQUIRED_FILES:
        # The shortest graph: its version of the format, and nothing else.
        (folder / name).write_bytes(b"\x08\x08" if name.endswith(".onnx") else b"{}")
    files = {
        name: {"sha256": sha256(folder / name), "bytes": (folder / name).stat().st_size} for name in REQUIRED_FILES
    }
    image = {"height": 32, "width": 32, "mean": [0.5] * 3, "std": [0.5] * 3}
    text = {"clean": "lower", "context_length": 24, "pad_id": 0, "pad_to": "longest"}
    manifest = {"schema": 2, "files": files, "fingerprint": "", "dim": 32, "modalities": "ITA", "name": "clip-ita",
                "zero_shot": False, "categories": [["Home", "Plates"]], "image": image, "text": text}  # fmt: skip
    manifest["fingerprint"] = fingerprint_of(manifest)
    picture = Image.new("RGB", (40, 30))
    places = [(key,) for key in manifest] + [
        (key, inner)
        for key in ("image", "text", "files")
        for inner in manifest[key]  # type: ignore[attr-defined]
    ]
    # Drawn from a list as far as it goes: nested strategies take longer than what they are to test.
    odd = [None, True, False, [], {}, [[]], [None], {"a": {}}, [1, 2], [0.5] * 3, ["x"] * 3, [["a"]], [["a", 1]],
           [[], []], "", "../../etc/passwd", "shortest", "bicubic", "longest", -1, 0, 1, 2**31, 2**63, 10**30, 1e308,
           "9" * 40, {"sha256": "0", "bytes": 1}, {"sha256": 1}, {"text.onnx": None}, ["Home"], "\ud800", "\x00",
           float("nan"), float("inf")]  # fmt: skip
    values = st.sampled_from(odd) | st.integers() | st.text(max_size=8) | st.floats()
    changes = st.lists(st.tuples(st.sampled_from(places), values), max_size=2)

    def read(case: tuple[list[tuple[tuple[str, ...], Any]], bool, bytes]) -> None:
        edits, mend, script = case
        changed = json.loads(json.dumps(manifest))
        for place, value in edits:
            target = changed[place[0]] if len(place) == 2 else changed
            if isinstance(target, dict):
                target[place[-1]] = copy.deepcopy(value)
        if mend:
            # A forger puts the fingerprint right; what cannot be put right is what it is.
            try:
                changed["fingerprint"] = fingerprint_of(changed)
            except (TypeError, KeyError, AttributeError):
                mend = False
        (folder / MANIFEST).write_bytes(mutated(json.dumps(changed).encode(), script))
        bundle = Bundle.load(folder)
        _ = bundle.fingerprint, bundle.dim, bundle.modalities, bundle.name, bundle.zero_shot, bundle.categories
        assert to_pixels(picture, bundle.image_spec).ndim == 3
        _ = bundle.text_spec

    return st.tuples(changes, st.booleans(), st.just(b"") | st.binary(max_size=16)), read


def queries(_folder: Path) -> Target:
    """Query strings, JSON requests and cursors from outside; what is accepted becomes a request body of plain JSON."""
    names = list(PARAMETERS)
    words = st.text(max_size=12) | st.sampled_from(
        ["1", "-1", "1e9", "nan", "inf", "true", "hybrid", "rrf", "min_max", "lexical", "vector", "price", "-price",
         "_score", "stock:in_stock:0.3", "popularity:sales:nan:100", "\"}}]}", "{{query}}", "${jndi:ldap://x}", "\x00",
         "title^3", "A > B", "*", "_id", "\ud800"]
    )  # fmt: skip
    keys = st.sampled_from(
        [*names, "filter[brand]", "filter[price][lte]", "filter[x][exists]", "filter[[]]", "filter[]"]
    )
    query_strings = st.lists(st.tuples(keys, words), max_size=6)
    values = words | st.integers() | st.floats() | st.booleans() | st.lists(words, max_size=3) | st.none()
    options = list(OPTIONS)
    requests = st.dictionaries(
        st.sampled_from([*options, "filters", "bogus"]),
        values | st.dictionaries(st.sampled_from(["brand", "gte", "lte", "exists"]), values, max_size=3),
        max_size=6,
    )
    cursors = st.binary(max_size=48) | st.sampled_from([b"[" * 5000, b'[1,[1.5,"p"],2,"0",null]'])
    known = set(SearchArguments.__dataclass_fields__) - {"boosts", "facets", "sort", "highlight", "after"}

    def read(case: tuple[str, Any]) -> None:
        kind, content = case
        if kind == "cursor":
            Cursor.decode(base64.urlsafe_b64encode(content).decode().rstrip("="))
            return
        accepted = from_query_string(content) if kind == "get" else from_json(content)
        given = {name: value for name, value in accepted.items() if name in known and value is not None}
        arguments = SearchArguments(accepted.get("query", "words"), [0.6, 0.8], **{
            **given,
            "facets": {name: name for name in accepted.get("facets", ())},
            "sort": [(name.lstrip("-"), "desc" if name.startswith("-") else "asc")
                     for name in accepted.get("sort", ())],
        })  # fmt: skip
        body = search_body(arguments)
        text = json.dumps(body)
        query = accepted.get("query")
        if isinstance(query, str) and query not in ("params", "source") and '"source"' in text:
            scripts = json.dumps(_scripts(body))
            if len(query) > 6 and json.dumps(query)[1:-1] in scripts:
                raise AssertionError("a visitor's words stand in a script")

    cases = st.one_of(
        st.tuples(st.just("get"), query_strings), st.tuples(st.just("post"), requests | values),
        st.tuples(st.just("cursor"), cursors),
    )  # fmt: skip
    return cases, read


def _scripts(node: Any) -> list[Any]:
    if isinstance(node, dict):
        here = [value for key, value in node.items() if key == "source" and isinstance(value, str)]
        return here + [script for value in node.values() for script in _scripts(value)]
    return [script for value in node for script in _scripts(value)] if isinstance(node, list) else []


TARGETS: dict[str, Callable[[Path], Target]] = {
    "readers": readers, "images": images, "bundles": bundles, "queries": queries, "locations": locations,
    "bulks": bulks, "requests": requests,
}  # fmt: skip
