"""Which index a run writes to, and what its settings are meanwhile."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from opensearchpy import OpenSearch

from clipita.errors import ClusterError, FingerprintError, UsageError
from clipita.opensearch.ingest import target
from clipita.opensearch.ingest.outcomes import IngestReport
from clipita.runtime import Bundle

pytestmark = pytest.mark.integration

Run = Callable[..., IngestReport]
Documents = Callable[[str], dict[str, dict[str, Any]]]


def counted(report: IngestReport) -> dict[str, int]:
    return {outcome.value: count for outcome, count in report.counts.items() if count}


def interval(client: OpenSearch, alias: str) -> str | None:
    (found,) = client.indices.get_settings(index=alias).values()
    value: str | None = found["settings"]["index"].get("refresh_interval")
    return value


def test_other_models_index_is_refused_with_the_way_out(
    ingest: Run, documents: Documents, catalogue: Path, alias: str, other_bundle: Bundle
) -> None:
    ingest(catalogue)
    before = documents(alias)
    with pytest.raises(FingerprintError, match=f"clipita ingest --index {alias} --new-index"):
        ingest(catalogue, bundle=other_bundle)
    assert documents(alias) == before


def test_new_index_is_built_beside_and_takes_the_alias(
    ingest: Run, documents: Documents, catalogue: Path, client: OpenSearch, alias: str, other_bundle: Bundle
) -> None:
    first = ingest(catalogue)
    old = documents(first.index)
    second = ingest(catalogue, bundle=other_bundle, new_index=True)
    assert counted(second) == {"written": 40}
    assert second.replaced == first.index
    assert second.index == f"{alias}-{other_bundle.fingerprint[:8]}-1"
    assert list(client.indices.get_alias(name=alias)) == [second.index]
    assert documents(first.index) == old
    assert counted(ingest(catalogue, bundle=other_bundle)) == {"unchanged": 40}


def test_new_index_of_the_same_model_gets_the_next_number(
    ingest: Run, catalogue: Path, bundle: Bundle, alias: str
) -> None:
    first = ingest(catalogue)
    second = ingest(catalogue, new_index=True)
    assert [first.index, second.index] == [f"{alias}-{bundle.fingerprint[:8]}-{number}" for number in (1, 2)]


def test_new_index_stays_out_of_sight_until_it_is_whole(
    ingest: Run, catalogue: Path, client: OpenSearch, alias: str
) -> None:
    first = ingest(catalogue)
    behind: list[list[str]] = []
    ingest(catalogue, new_index=True, progress=lambda *_: behind.append(list(client.indices.get_alias(name=alias))))
    assert behind
    assert all(names == [first.index] for names in behind)


def test_foreign_index_is_left_alone(ingest: Run, catalogue: Path, client: OpenSearch, alias: str) -> None:
    client.index(index=alias, id="theirs", body={"name": "x"}, refresh=True)
    with pytest.raises(ClusterError, match=f"{alias} was not made by clipita.*stays as it is.*--in-place"):
        ingest(catalogue)
    assert client.count(index=alias)["count"] == 1


def test_alias_of_a_foreign_index_is_left_alone(ingest: Run, catalogue: Path, client: OpenSearch, alias: str) -> None:
    client.indices.create(index=f"{alias}-theirs", body={"aliases": {alias: {}}})
    with pytest.raises(ClusterError, match="was not made by clipita"):
        ingest(catalogue)
    assert client.count(index=alias)["count"] == 0


def test_settings_of_a_new_index_are_restored_after_a_failure(
    ingest: Run, shop: Path, client: OpenSearch, alias: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    during: list[str | None] = []

    def fail(done: int, _: int | None) -> None:
        during.append(interval(client, alias))
        if done > 30:
            raise RuntimeError("something breaks")

    with pytest.raises(RuntimeError, match="something breaks"):
        ingest(shop / "train.parquet", progress=fail, config={"replicas": 1})
    assert set(during) == {"-1"}
    assert interval(client, alias) is None
    (found,) = client.indices.get_settings(index=alias).values()
    assert found["settings"]["index"]["number_of_replicas"] == "1"
    # The node is alone: there will never be a second copy, and the run does not wait for one.
    monkeypatch.setattr(target, "COPIES_SECONDS", 600)
    assert ingest(shop / "train.parquet").products == 120


def test_live_index_keeps_its_settings_while_products_are_added(
    ingest: Run, shop: Path, client: OpenSearch, alias: str
) -> None:
    ingest(shop / "valid.parquet")
    client.indices.put_settings(index=alias, body={"index.refresh_interval": "7s"})
    during: list[str | None] = []
    ingest(shop / "train.parquet", progress=lambda *_: during.append(interval(client, alias)))
    assert set(during) == {"7s"}
    assert interval(client, alias) == "7s"


def rows(file: Path, prices: list[Any]) -> Path:
    lines = ({"product_id": f"{n}", "title": f"thing {n}", "price": price} for n, price in enumerate(prices))
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


def test_new_index_that_lacks_products_is_left_beside(
    ingest: Run, client: OpenSearch, alias: str, tmp_path: Path
) -> None:
    file = tmp_path / "a.jsonl"
    first = ingest(rows(file, list(range(100))))
    # The first row makes an object of the inner field, so that all others are refused.
    rows(file, [{"amount": {"value": 1}}, *({"amount": number} for number in range(99))])
    with pytest.raises(UsageError, match=r"has 1 products, 99% fewer than the 100 that were read.*--force") as caught:
        ingest(file, new_index=True)
    assert f"index prune --index {alias}" in str(caught.value)
    assert list(client.indices.get_alias(name=alias)) == [first.index]
    report = ingest(file, new_index=True, force=True)
    assert (report.replaced, report.counts["unchanged"], report.counts["failed"]) == (first.index, 1, 99)
    assert list(client.indices.get_alias(name=alias)) == [report.index]


@pytest.mark.parametrize(("left", "limit", "swapped"), [(95, 0.05, True), (94, 0.05, False), (94, 0.06, True)])
def test_new_index_is_compared_with_the_one_before(
    ingest: Run, alias: str, client: OpenSearch, tmp_path: Path, left: int, limit: float, swapped: bool
) -> None:
    file = tmp_path / "a.jsonl"
    first = ingest(rows(file, list(range(100))))
    rows(file, list(range(left)))
    with nullcontext() if swapped else pytest.raises(UsageError, match=f"6% fewer than the 100 of {first.index}"):
        ingest(file, new_index=True, config={"swap_limit": limit})
    assert (list(client.indices.get_alias(name=alias)) == [first.index]) is not swapped


def test_repeated_rows_are_not_missing_products(ingest: Run, alias: str, client: OpenSearch, tmp_path: Path) -> None:
    file = rows(tmp_path / "a.jsonl", list(range(20)))
    first = ingest(file)
    file.write_text(file.read_text() * 2)
    assert ingest(file, new_index=True).replaced == first.index
    file.write_text(file.read_text() + '{"title": "no id"}\n' * 5)
    with pytest.raises(UsageError, match="20% fewer than the 25 that were read"):
        ingest(file, new_index=True)
