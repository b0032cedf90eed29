"""The tutorial and the how-tos, typed as they stand: every `clipita` line of their shell blocks is run, in order.

What is changed on the way is in `SMALLER`: sizes, towers and the index's name, so that it takes minutes, on a node that
other tests share. What is not run here is in `PARSED_ONLY`, with the reason; nothing else is left out, which the last
test of this file holds.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest
from opensearchpy import OpenSearch, helpers

from clipita.catalogue.sample.products import draw_products
from clipita.config import OpenSearchConfig
from clipita.opensearch.cluster.connection import connect
from clipita.opensearch.local.node import NodeStatus
from clipita.opensearch.search.client import ProductSearch

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PRODUCTS = 500
TRAIN = "--recipe paper --loss tree --tower-config tower.json --unfreeze --dim 32 --epochs 1 --batch-size 64"
SMALLER = (
    (r"--products \d+", f"--products {PRODUCTS}"),
    (r"^clipita train\b", f"clipita train {TRAIN}"),
    (r"(?<=[ ])products(?= |$)", "{alias}"),
    (r"Apparel > Topwear > Kurtas", "Home > Plates > Round Plates"),
)
PAGES = (
    "tutorial.md",
    "howto/own-catalogue.md",
    "howto/existing-index.md",
    "howto/no-model.md",
    "howto/keep-your-query.md",
)
PARSED_ONLY = {
    "clipita opensearch start": "tests/opensearch/local/test_node_lifecycle.py runs it; here the tests' node is used",
    "clipita opensearch stop": "as above",
    "clipita serve": "runs until it is stopped: tests/serve",
    "clipita export-onnx --ml-commons": "needs weights for a package: tests/exporters/test_ml_commons.py",
    "clipita opensearch register-model": "needs the ML Commons plugin, which the local node cannot have",
    "clipita ingest --from-index products --in-place": "needs an index with k-NN: test_ingest_from_index.py",
}
"""Beginnings of lines on PAGES, and why they are not run here."""
NOT_HERE = {
    "engines.md": "starts nodes of other versions: tests/engines",
    "howto/amazon.md": "needs an Amazon domain",
    "howto/gpu.md": "needs a GPU",
    "howto/new-categories.md": "needs ids of a shop: tests/cli/test_categories_command.py, index/test_additions.py",
    "howto/languages.md": "needs files of the shop: tests/opensearch/index/test_synonyms.py, test_analysis.py",
    "howto/xmarket.md": "needs the real files: tests/benchmarks/test_xmarket.py converts a miniature",
    "paper.md": "needs pretrained towers: benchmarks/paper.py, tests/benchmarks/test_trainings.py",
    "scale.md": "needs a Ray cluster and GPUs: tests/opensearch/ingest/ray/test_stage.py has one of two workers",
    "howto/storefront.md": "`clipita serve` and curl: tests/serve; programs: tests/opensearch/search/test_templates.py",
}
"""Pages with shell blocks of `clipita` lines that are only parsed (test_documentation.py)."""


def lines(page: str) -> Iterator[str]:
    """The lines of a page's shell blocks, continued ones joined, without remarks."""
    for block in re.findall(r"(?ms)^```sh\n(.*?)^```$", (DOCS / page).read_text(encoding="utf-8")):
        for line in block.replace("\\\n", " ").splitlines():
            if found := re.split(r"\s+#", line)[0].strip():
                yield found


def only_parsed(line: str) -> bool:
    return any(line.startswith(beginning) for beginning in PARSED_ONLY)


@pytest.fixture
def alias(node: NodeStatus) -> Iterator[str]:
    name = f"page{uuid.uuid4().hex[:8]}"
    yield name
    with connect(OpenSearchConfig(url=node.url)) as client:
        client.indices.delete(index=f"{name}*", params={"expand_wildcards": "all"})


@pytest.fixture
def typed(node: NodeStatus, alias: str, tiny_tower: Path, tmp_path: Path) -> Callable[[str], list[str]]:
    """Types the lines of a page in one folder; gives the lines that were run."""
    shutil.copy(tiny_tower, tmp_path / "tower.json")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CLIPITA_")}
    # A page that names no index means `products`, which other tests may have.
    environment |= {"CLIPITA_OPENSEARCH_URL": node.url, "CLIPITA_OPENSEARCH_INDEX": alias}

    def run(page: str) -> list[str]:
        done = []
        for line in lines(page):
            if not line.startswith("clipita ") or only_parsed(line):
                continue
            for pattern, ours in SMALLER:
                line = re.sub(pattern, ours.replace("{alias}", alias), line)
            command = [sys.executable, "-m", "clipita.cli", *shlex.split(line)[1:]]
            ran = subprocess.run(
                command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=600
            )
            assert ran.returncode == 0, f"{page}: {line}\n{ran.stdout[-2000:]}\n{ran.stderr[-3000:]}"
            done.append(line)
        return done

    return run


def drawn(folder: Path) -> None:
    """What `clipita sample` draws, as the files that a page takes for granted."""
    words = ["sample", str(folder), "--products", str(PRODUCTS)]
    subprocess.run([sys.executable, "-m", "clipita.cli", *words], check=True, capture_output=True)


@pytest.mark.integration
@pytest.mark.slow
def test_the_tutorial(typed: Callable[[str], list[str]], tmp_path: Path) -> None:
    assert len(typed("tutorial.md")) >= 12
    assert (tmp_path / "report.html").is_file()


@pytest.mark.integration
@pytest.mark.slow
def test_your_own_catalogue(typed: Callable[[str], list[str]], tmp_path: Path) -> None:
    drawn(tmp_path)
    (tmp_path / "feeds").mkdir()
    for split in ("train", "valid", "test"):
        # The page's shop has columns of its own, in all its files.
        table = pq.read_table(tmp_path / f"{split}.parquet")
        table = table.rename_columns({"product_id": "sku", "title": "name"}).drop_columns(["attributes", "image"])
        paths = ["/".join(path) for path in table["category_path"].to_pylist()]
        table = table.set_column(table.column_names.index("category_path"), "category_path", [paths])
        for folder in (tmp_path, tmp_path / "feeds"):
            pq.write_table(table, folder / f"{split}.parquet")
    pc.write_csv(table, tmp_path / "feed.csv")
    assert len(typed("howto/own-catalogue.md")) >= 6


@pytest.mark.integration
@pytest.mark.slow
def test_an_index_you_have_already(typed: Callable[[str], list[str]], node: NodeStatus, alias: str) -> None:
    with connect(OpenSearchConfig(url=node.url)) as client:
        own_index(client, alias)
        assert len(typed("howto/existing-index.md")) >= 10
        # The page's last command goes back.
        assert list(client.indices.get_alias(name=alias)) == [f"{alias}-own"]


@pytest.mark.integration
@pytest.mark.slow
def test_without_a_model(
    typed: Callable[[str], list[str]], node: NodeStatus, alias: str, tiny_bundle: Path, shop: Path
) -> None:
    words = ["ingest", str(shop / "train.parquet"), "--index", alias, "--model", str(tiny_bundle), "--url", node.url]
    subprocess.run([sys.executable, "-m", "clipita.cli", *words], check=True, capture_output=True)
    assert len(typed("howto/no-model.md")) >= 2


@pytest.mark.integration
def test_keep_your_query(
    typed: Callable[[str], list[str]], node: NodeStatus, alias: str, tiny_bundle: Path, tmp_path: Path
) -> None:
    """On the page's index: its analyzers, synonyms and sales, with the page's clause."""
    page = (DOCS / "howto" / "keep-your-query.md").read_text(encoding="utf-8")
    index, clause = map(json.loads, re.findall(r"(?ms)^```json\n(.*?)^```$", page))
    (tmp_path / "query.json").write_text(json.dumps(clause), encoding="utf-8")
    shutil.copytree(tiny_bundle, tmp_path / "model")
    with connect(OpenSearchConfig(url=node.url)) as client:
        client.indices.create(index=f"{alias}-own", body={**index, "aliases": {alias: {}}})
        helpers.bulk(client, documents_of_the_query_page(f"{alias}-own"), refresh=True)
        fields = (
            "--title-field name --category-field shelf --category-separator / --attribute-field maker --image-field ''"
        )
        for line in (f"index export {alias} shop/ {fields}", f"ingest --from-index {alias} --index {alias} {fields}"):
            command = [sys.executable, "-m", "clipita.cli", *shlex.split(line), "--url", node.url]
            subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
        assert len(typed("howto/keep-your-query.md")) == 3
        search = ProductSearch(client, alias, tiny_bundle)
        assert search.config.lexical == clause
        plain = json.loads(json.dumps(clause).replace("{{query}}", "kicks"))
        alone = client.search(index=alias, body={"query": plain, "size": 100})["hits"]["hits"]
        # No product is called kicks: the shop's synonyms find them.
        assert alone
        assert all(re.search("(?i)sneaker|trainer|runner", hit["_source"]["name"]) for hit in alone)
        assert not any("kicks" in hit["_source"]["name"].lower() for hit in alone)
        hybrid = search("kicks", size=100, explain=True)
        found = {hit.id: hit.explanation.bm25 for hit in hybrid.hits if hit.explanation and hit.explanation.bm25}
        expected = {hit["_id"]: hit["_score"] for hit in alone}
        assert found == pytest.approx({name: expected[name] for name in found})
        assert found
        answer = client.search(index=alias, body={"query": search.clause("kicks"), "size": 10})
        assert [hit["_id"] for hit in answer["hits"]["hits"]][:5] == [hit.id for hit in hybrid.hits][:5]
        template = {"id": f"{alias}-saturation", "params": {"query": "kicks", "vector": search.vector("kicks")}}
        stored = client.search_template(index=alias, body=template)["hits"]["hits"]
        assert [hit["_id"] for hit in stored] == [hit.id for hit in search("kicks").hits]


def documents_of_the_query_page(index: str) -> Iterator[dict[str, Any]]:
    """The drawn products in the fields of the page, with sales."""
    for number, product in enumerate(draw_products(PRODUCTS, 7)):
        source = {
            "name": product.title, "shelf": "/".join(product.category_path), "maker": product.extra["brand"],
            "blurb": " ".join(product.attributes.values()), "price": product.extra["price"], "sold": number * 37 % 400,
        }  # fmt: skip
        yield {"_index": index, "_id": product.id, "_source": source}


def own_index(client: OpenSearch, alias: str) -> None:
    """The index that the page speaks of: its fields, and no vectors."""
    name = f"{alias}-own"
    properties: dict[str, Any] = {
        "name": {"type": "text"}, "shelf": {"type": "keyword"}, "maker": {"type": "keyword"},
        "specs": {"type": "object"}, "photo": {"type": "keyword", "index": False, "doc_values": False},
        "price": {"type": "float"},
    }  # fmt: skip
    client.indices.create(index=name, body={"mappings": {"properties": properties}, "aliases": {alias: {}}})

    def documents() -> Iterator[dict[str, Any]]:
        for product in draw_products(PRODUCTS, 7):
            source = {
                "name": product.title, "shelf": "/".join(product.category_path), "maker": product.extra["brand"],
                "specs": product.attributes, "price": product.extra["price"],
            }  # fmt: skip
            yield {"_index": name, "_id": product.id, "_source": source}

    helpers.bulk(client, documents())
    client.indices.refresh(index=name)


def test_no_line_is_left_out_in_silence() -> None:
    """Every `clipita` line in a shell block is run here, or stands with a reason among those that are only parsed."""
    pages = {
        str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")
        if any(line.startswith("clipita ") for line in lines(str(page.relative_to(DOCS))))
    }  # fmt: skip
    assert pages == {*PAGES, *NOT_HERE}
    everything = [line for page in PAGES for line in lines(page)]
    for beginning in PARSED_ONLY:
        assert any(line.startswith(beginning) for line in everything), f"{beginning} is on no page any more"
    assert sum(line.startswith("clipita ") and not only_parsed(line) for line in everything) >= 30
