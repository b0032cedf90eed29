"""Folders, compressed files, standard input, ids that occur twice, and reserved column names."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from opensearchpy import OpenSearch

from clipita.catalogue.reader import CatalogueFile, files_in
from clipita.config import FieldsConfig, IngestConfig
from clipita.errors import CatalogueError, FieldMappingError
from clipita.opensearch.ingest.outcomes import IngestReport
from clipita.opensearch.ingest.run import Ingest
from clipita.opensearch.local.node import NodeStatus
from clipita.opensearch.search.client import ProductSearch
from clipita.runtime import Bundle

pytestmark = pytest.mark.integration

Run = Callable[..., IngestReport]


def lines(numbers: range) -> bytes:
    rows = ({"product_id": f"{number}", "title": f"thing {number}", "price": number} for number in numbers)
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def write_zstd(file: Path, data: bytes) -> None:
    with pa.output_stream(str(file), compression="zstd") as stream:
        stream.write(data)


def test_folder_of_plain_and_compressed_files(
    ingest: Run, client: OpenSearch, alias: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "feeds"
    (folder / "deep").mkdir(parents=True)
    (folder / ".hidden").mkdir()
    (folder / "a.jsonl").write_bytes(lines(range(10)))
    (folder / "deep" / "b.jsonl.gz").write_bytes(gzip.compress(lines(range(10, 20))))
    write_zstd(folder / "c.jsonl.zst", lines(range(20, 30)))
    write_zstd(folder / "d.csv.zst", b"product_id,title\n30,thing 30\n31,thing 31\n")
    (folder / ".hidden" / "e.jsonl").write_bytes(lines(range(90, 95)))
    (folder / "readme.txt").write_text("no catalogue")
    found = files_in(folder)
    assert [file.name for file in found] == ["a.jsonl", "c.jsonl.zst", "d.csv.zst", "b.jsonl.gz"]
    report = ingest(found)
    assert report.counts["written"] == 32
    assert client.count(index=alias)["count"] == 32


def test_rows_of_one_product_are_one_or_collapse(
    ingest: Run, client: OpenSearch, alias: str, settings: IngestConfig, bundle: Bundle, tmp_path: Path
) -> None:
    file = tmp_path / "shop.csv"
    sizes = [(product, size) for product in ("plate", "kite", "lamp") for size in ("S", "M", "L")]
    rows = [f"{product}-{size},{product},{product},{size},{10 + len(size)}" for product, size in sizes]
    file.write_text("\n".join(["product_id,title,style,size,price", *rows]))
    fields = FieldsConfig(attributes=(), group="style")
    Ingest(client, bundle, settings, alias=alias).run([CatalogueFile(file, fields)])
    client.indices.refresh(index=alias)
    page = ProductSearch(client, alias)(mode="lexical", query="plate kite", collapse="group", variants=3)
    assert (page.groups, page.total) == (2, 6)
    assert [hit.group_size for hit in page.hits] == [3, 3]
    joined = CatalogueFile(file, replace(fields, variants="one"))
    Ingest(client, bundle, settings, alias=alias, new_index=True, force=True).run([joined])
    client.indices.refresh(index=alias)
    page = ProductSearch(client, alias)(mode="lexical", query="plate kite", filters={"variants.size": "M"})
    assert {hit.id for hit in page.hits} == {"plate-S", "kite-S"}


def test_an_id_that_repeats_ends_the_run_before_it_begins(
    ingest: Run, client: OpenSearch, alias: str, tmp_path: Path
) -> None:
    file = tmp_path / "shop.csv"
    file.write_text("product_id,sku,title\n" + "".join(f"1,s{number},thing\n" for number in range(20)))
    with pytest.raises(FieldMappingError, match="product_id is not an id") as error:
        ingest(file)
    assert "Did you mean 'sku'?" in str(error.value.hint)
    assert not client.indices.exists(index=alias)


def test_folder_without_catalogue(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match="holds no catalogue file"):
        files_in(tmp_path)


def test_truncated_zstd_is_told_with_its_line(tmp_path: Path) -> None:
    whole = tmp_path / "whole.jsonl.zst"
    # Random ids, for a file that does not compress into one block.
    write_zstd(
        whole, b"".join(b'{"product_id": "%s", "title": "x"}\n' % os.urandom(20).hex().encode() for _ in range(50_000))
    )
    cut = tmp_path / "cut.jsonl.zst"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with pytest.raises(CatalogueError, match=r"cannot be read beyond line \d+"):
        list(CatalogueFile(cut).products())


def test_stream_is_written_while_it_comes_and_an_id_may_come_again(
    client: OpenSearch, alias: str, node: NodeStatus, tiny_bundle: Path, tmp_path: Path
) -> None:
    code = "from clipita.cli import main; main()"
    run = [sys.executable, "-c", code, "ingest", "-", "--model", str(tiny_bundle), "--url", node.url, "--index", alias]
    with subprocess.Popen(
        [*run, "--json"], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        process.stdin.write(lines(range(5)))
        process.stdin.flush()
        _wait_for(client, alias, 5)
        for price in (50, 60, 2):
            process.stdin.write(json.dumps({"product_id": "2", "title": "thing 2", "price": price}).encode() + b"\n")
        process.stdin.write(b'{"product_id": "2", "title": "renamed", "price": 7}\nnonsense\n')
        out, err = process.communicate(timeout=120)
    report = json.loads(out)
    assert process.returncode == 3, err
    assert report["counts"]["written"] == 6
    assert report["counts"]["rejected"] == 1
    assert report["products"] == 10
    found = client.get(index=alias, id="2")["_source"]
    assert (found["title"], found["price"]) == ("renamed", 7)


def _wait_for(client: OpenSearch, alias: str, count: int) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        if client.indices.exists(index=alias):
            client.indices.refresh(index=alias)
            if client.count(index=alias)["count"] >= count:
                return
        time.sleep(0.1)
    pytest.fail(f"{count} products did not arrive while the stream was open")


def test_stream_of_nothing_or_of_no_json(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match="standard input holds no product"):
        CatalogueFile(Path("standard input"), stream=io.BytesIO(b"\n\n"))
    with pytest.raises(CatalogueError, match="line 1, the line is not valid JSON"):
        CatalogueFile(Path("standard input"), stream=io.BytesIO(b"product_id,title\n1,x\n"))


def counted(report: IngestReport) -> dict[str, int]:
    return {outcome.value: count for outcome, count in report.counts.items() if count}


def test_one_id_in_two_files_is_written_once_and_told(ingest: Run, catalogue: Path, tmp_path: Path) -> None:
    twin = tmp_path / "twin.parquet"
    pq.write_table(pq.read_table(catalogue).slice(0, 3), twin)
    report = ingest([catalogue, twin])
    assert counted(report) == {"written": 40, "rejected": 3}
    told = [json.loads(line) for line in (tmp_path / "rejected.jsonl").read_text().splitlines()]
    assert [(line["file"], line["row"], line["id"]) for line in told] == [
        (str(twin), row, f"p000{row - 1}") for row in (1, 2, 3)
    ]
    assert all(str(catalogue) in line["reason"] for line in told)


@pytest.mark.parametrize("name", ["clipita", "product_vector", "attributes_text", "clipita.fingerprint"])
def test_column_with_a_name_of_ours_is_refused_before_anything_is_made(
    ingest: Run, catalogue: Path, client: OpenSearch, alias: str, name: str
) -> None:
    pq.write_table(pq.read_table(catalogue).append_column(name, pa.array(["x"] * 40)), catalogue)
    with pytest.raises(FieldMappingError, match=f"column '{name}'.*Rename it"):
        ingest(catalogue)
    assert not client.indices.exists(index=f"{alias}*", allow_no_indices=False)


def test_late_key_with_a_name_of_ours_rejects_its_product(ingest: Run, tmp_path: Path) -> None:
    file = tmp_path / "late.jsonl"
    rows: list[dict[str, Any]] = [{"product_id": f"{number}", "title": f"thing {number}"} for number in range(1100)]
    rows[-1]["clipita"] = {"mine": True}
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    report = ingest(file, config={"bulk_documents": 500, "batch_size": 64})
    assert counted(report) == {"written": 1099, "rejected": 1}
    told = json.loads((tmp_path / "rejected.jsonl").read_text())
    assert (told["row"], told["id"]) == (1100, "1099")
    assert "a name that clipita writes itself: clipita" in told["reason"]
