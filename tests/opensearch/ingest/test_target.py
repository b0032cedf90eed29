"""Which index a run writes to, and what its settings are meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from opensearchpy import OpenSearch

from clipita.errors import ClusterError, FingerprintError
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
    ingest: Run, shop: Path, client: OpenSearch, alias: str
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
