"""Flags of `clipita ingest` that need no cluster to be refused."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from clipita.cli.ingest import _engines
from clipita.config import IngestConfig
from clipita.errors import MissingExtraError, UsageError
from clipita.opensearch.ingest.ray.stage import RayEncoders
from clipita.runtime import Bundle


def test_the_two_kinds_of_engine_go_together() -> None:
    assert _engines(()) == {}
    assert _engines(("ray",)) == {"runner": "ray"}
    assert _engines(("lucene", "ray")) == {"engine": "lucene", "runner": "ray"}
    with pytest.raises(UsageError, match="lucene and --engine faiss exclude"):
        _engines(("lucene", "faiss"))
    with pytest.raises(UsageError, match="ray and --engine local exclude"):
        _engines(("ray", "local"))


def test_ray_that_is_not_installed_names_the_pip_line(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'clipita\[ray\]'"):
        RayEncoders(Bundle.load(tiny_bundle), IngestConfig(runner="ray"), lambda _: None)
