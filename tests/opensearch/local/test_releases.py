"""Which releases can be had, with which plugins."""

from __future__ import annotations

import pytest

from clipita.errors import UsageError
from clipita.opensearch.local.releases import KNN, VERSION, default_plugins, find_release


def test_default_release_has_neural_search_in_the_folder_of_its_version() -> None:
    release = find_release()
    assert release == find_release(VERSION, default_plugins(VERSION))
    assert list(release.plugins) == [KNN, "neural-search"]
    assert release.folder == "opensearch-3.6.0"
    assert find_release(VERSION, ()).folder == "opensearch-3.6.0-plain"
    assert find_release("2.19.1", ["neural-search"]).folder == "opensearch-2.19.1-neural-search"


@pytest.mark.parametrize(("version", "modules", "locales"), [("2.13.0", 9, 0), ("2.19.1", 9, 0), ("3.5.0", 0, 2)])
def test_every_part_is_pinned_and_has_a_file_of_its_own(version: str, modules: int, locales: int) -> None:
    release = find_release(version)
    assert (len(release.modules), len(release.locales)) == (modules, locales)
    assert len({part.file_name for part in release.parts}) == len(release.parts)
    assert all(len(part.sha256) == 64 for part in release.parts)


def test_version_that_the_repository_lacks_names_those_that_it_has() -> None:
    with pytest.raises(UsageError, match=r"OpenSearch 2\.14\.0 cannot be had") as caught:
        find_release("2.14.0")
    assert str(caught.value.hint) == "Use one of 2.13.0, 2.19.1, 3.5.0, 3.6.0."


@pytest.mark.parametrize(
    ("version", "plugin", "hint"),
    [("2.13.0", "neural-search", "k-NN alone"), ("3.6.0", "security", "neural-search and ml-commons")],
)
def test_plugin_that_the_repository_lacks(version: str, plugin: str, hint: str) -> None:
    with pytest.raises(UsageError, match=f"no {plugin} for OpenSearch {version}") as caught:
        find_release(version, [plugin])
    assert hint in str(caught.value.hint)
