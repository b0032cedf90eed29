"""Vectors in the shop's own index: it is the one that was named, and its pages and cursors show every product once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from opensearchpy import OpenSearch

import clipita
from clipita.cli import group
from clipita.cli.failure import run_guarded
from clipita.config import FieldsConfig, IngestConfig
from clipita.errors import UsageError
from clipita.opensearch import ProductSearch
from clipita.opensearch.index.index import remember, require
from clipita.opensearch.ingest.target import Targets
from clipita.opensearch.local.node import NodeStatus
from clipita.runtime import Bundle

pytestmark = pytest.mark.integration

COUNT = 60
FIELDS = FieldsConfig(title="name", attributes=(), image="", category_path="shelf")
Documents = Callable[[str], dict[str, dict[str, Any]]]


def shop_index(client: OpenSearch, name: str, own_id: dict[str, Any] | None = None, **index: Any) -> None:
    """60 products of one name and one price; with a `product_id` of the shop where its mapping is given."""
    properties: dict[str, Any] = {"name": {"type": "text"}, "shelf": {"type": "keyword"}, "price": {"type": "double"}}
    if own_id is not None:
        properties["product_id"] = own_id
    body = {"settings": {"index": {"knn": True, **index}}, "mappings": {"properties": properties}}
    client.indices.create(index=name, body=body)
    write(client, name, range(COUNT), own_id is not None)


def write(client: OpenSearch, name: str, numbers: range, own_id: bool) -> None:
    lines = []
    for number in numbers:
        document = {"name": "round plate", "shelf": ["Home", "Plates"], "price": 5.0}
        lines += [{"index": {"_id": f"d{number}"}}, document | ({"product_id": "7"} if own_id else {})]
    client.bulk(index=name, body="".join(json.dumps(line) + "\n" for line in lines), refresh=True)


def ids(search: ProductSearch, **options: Any) -> list[str]:
    """All products by cursor."""
    page = search(size=10, **options)
    found = [hit.id for hit in page.hits]
    while page.cursor is not None:
        page = search(size=10, cursor=page.cursor, **options)
        found += [hit.id for hit in page.hits]
    return found


OWN_IDS = [None, {"type": "keyword"}, {"type": "text"}, {"type": "long"}]


@pytest.mark.parametrize("own_id", OWN_IDS)
@pytest.mark.parametrize("in_place", [True, False])
def test_cursor_shows_every_product_of_a_tie_once(
    client: OpenSearch, alias: str, bundle: Bundle, settings: IngestConfig, documents: Documents,
    own_id: dict[str, Any] | None, in_place: bool,
) -> None:  # fmt: skip
    name = f"{alias}-shop"
    shop_index(client, name, own_id)
    client.indices.put_alias(index=name, name=alias)
    before = documents(name)
    report = clipita.ingest(
        cluster=client, from_index=alias, model=bundle, in_place=in_place, fields=FIELDS, config=settings
    )
    assert report.left_out == 0
    for id_, document in documents(report.index).items():
        kept = {key: document[key] for key in before[id_]}
        assert kept == before[id_]
    search = ProductSearch(client, alias, bundle)
    every = {f"d{number}" for number in range(COUNT)}
    for options in ({"category": "Home > Plates"}, {"query": "plate", "sort": "price"}, {"query": "plate"}):
        found = ids(search, **options)
        assert (len(found), set(found)) == (COUNT, every)
    # What the shop writes later has no id of ours.
    write(client, report.index, range(100, 130), own_id is not None)
    found = ids(search, query="plate", sort="price")
    assert (len(found), set(found)) == (COUNT + 30, every | {f"d{number}" for number in range(100, 130)})
    template = {"id": f"{alias}-lexical", "params": {"query": "plate", "size": 100}}
    hits = client.search_template(index=alias, body=template)["hits"]["hits"]
    assert {hit["_id"] for hit in hits} == set(found)


def test_run_gives_documents_of_an_earlier_version_their_id(
    client: OpenSearch, alias: str, bundle: Bundle, settings: IngestConfig, documents: Documents
) -> None:
    shop_index(client, alias)
    options: dict[str, Any] = {"from_index": alias, "in_place": True, "fields": FIELDS, "config": settings}
    clipita.ingest(cluster=client, model=bundle, **options)
    script = "ctx._source.remove('product_id')"
    client.update_by_query(index=alias, body={"script": {"source": script}}, refresh=True)
    report = clipita.ingest(cluster=client, model=bundle, **options)
    assert (report.counts["updated"], report.encoded) == (COUNT, 0)
    assert all(document["product_id"] == id_ for id_, document in documents(alias).items())
    assert clipita.ingest(cluster=client, model=bundle, **options).counts["unchanged"] == COUNT


def test_index_by_its_own_name_gets_category_vectors_and_templates(
    client: OpenSearch, alias: str, bundle: Bundle, settings: IngestConfig
) -> None:
    shop_index(client, alias)
    for _ in range(2):
        clipita.ingest(
            cluster=client, index=alias, from_index=alias, model=bundle, in_place=True, fields=FIELDS, config=settings
        )
    assert require(client, alias).id_field == "product_id"
    assert client.get(index=f"{alias}-categories", id="Home > Plates")["found"]
    assert client.get_script(id=f"{alias}-saturation")["found"]
    page = ProductSearch(client, alias)(category="Home > Plates")
    assert page.total == COUNT


def test_command_without_index_writes_to_the_one_that_it_reads(
    client: OpenSearch, alias: str, node: NodeStatus, tiny_bundle: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    other = f"{alias}-other"
    shop_index(client, alias)
    shop_index(client, other)
    (tmp_path / "clipita.toml").write_text(f'[opensearch]\nindex = "{other}"\n')
    fields = ["--title-field", "name", "--category-field", "shelf", "--image-field", ""]
    command = ["ingest", "--from-index", alias, "--model", str(tiny_bundle), "--url", node.url, *fields]
    assert run_guarded(group, [*command, "--in-place", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["index"] == alias
    assert "product_vector" not in client.indices.get_mapping(index=other)[other]["mappings"]["properties"]
    assert run_guarded(group, [*command, "--in-place", "--index", other]) == 2
    assert f"those of {alias}, not to {other}" in capsys.readouterr().err
    # A copy needs an alias, and the name that was read is an index.
    (tmp_path / "clipita.toml").unlink()
    assert run_guarded(group, command) == 1
    assert f"--index {alias}-search" in capsys.readouterr().err
    made = set(client.indices.get(index=f"{alias}*", expand_wildcards="all"))
    assert made <= {alias, other, f"{alias}-categories", f"{alias}.lock", f"{other}.lock"}


def test_documents_of_a_catalogue_keep_their_fields(
    client: OpenSearch, alias: str, bundle: Bundle, settings: IngestConfig, shop: Path
) -> None:
    options: dict[str, Any] = {"cluster": client, "index": alias, "model": bundle, "config": settings}
    clipita.ingest(shop / "valid.parquet", **options)
    report = clipita.ingest(shop / "valid.parquet", in_place=True, **options)
    assert (report.counts["unchanged"], require(client, alias).fields) == (40, {})
    # As an earlier version left them.
    remember(client, report.index, fields={"title": "name", "id": "clipita.id"})
    clipita.ingest(shop / "valid.parquet", **options)
    assert (require(client, alias).fields, require(client, alias).id_field) == ({}, "product_id")


def test_documents_of_another_index_are_refused(
    client: OpenSearch, alias: str, bundle: Bundle, settings: IngestConfig, documents: Documents
) -> None:
    shop_index(client, alias)
    shop_index(client, f"{alias}-b")
    before = documents(f"{alias}-b")
    with pytest.raises(UsageError, match="Leave --index out"):
        clipita.ingest(
            cluster=client, index=f"{alias}-b", from_index=alias, model=bundle, in_place=True, fields=FIELDS,
            config=settings,
        )  # fmt: skip
    assert documents(f"{alias}-b") == before


@pytest.mark.parametrize("own_id", [None, {"type": "keyword"}])
def test_a_run_killed_after_it_added_its_fields_takes_none_of_them_for_the_shops(
    client: OpenSearch, alias: str, bundle: Bundle, settings: IngestConfig, documents: Documents,
    own_id: dict[str, Any] | None, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    class KilledError(BaseException):
        """Stands for SIGKILL at this moment: nothing handles it."""

    def killed(*_: Any) -> None:
        raise KilledError

    names = [f"{alias}-whole", f"{alias}-killed"]
    for name in names:
        shop_index(client, name, own_id)
        options: dict[str, Any] = {"cluster": client, "from_index": name, "model": bundle, "in_place": True}
        options |= {"fields": FIELDS, "config": settings}
        if name == names[1]:
            with monkeypatch.context() as patch:
                patch.setattr(Targets, "keep_fields", killed)
                with pytest.raises(KilledError):
                    clipita.ingest(**options)
        clipita.ingest(**options)
    assert documents(names[0]) == documents(names[1])
    assert require(client, names[0]).fields == require(client, names[1]).fields
