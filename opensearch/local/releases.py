"""The releases of OpenSearch that the Maven repository has whole, and the Java that each runs on."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from clipita.errors import UsageError

VERSION = "3.6.0"
"""The release of the local node unless another one is named."""
KNN = "knn"


@dataclass(frozen=True)
class Part:
    """A file in the Maven repository, pinned by its SHA-256."""

    name: str
    group: str
    artifact: str
    version: str
    packaging: str
    sha256: str
    classifier: str = ""

    @property
    def file_name(self) -> str:
        """File name in the repository and in the cache."""
        suffix = f"-{self.classifier}" if self.classifier else ""
        return f"{self.artifact}-{self.version}{suffix}.{self.packaging}"


# A trimmed Java lacks these. A full one ignores them: only `-Djava.locale.providers=…,SPI` makes it look for them.
LOCALES = (
    Part(
        "the ICU locales (1 of 2)", "com.ibm.icu", "icu4j", "77.1", "jar",
        "b3640b9f416a4411fd33c59abbeea8fd57d024c23e1819bf9673220a97499fe3",
    ),
    Part(
        "the ICU locales (2 of 2)", "com.ibm.icu", "icu4j-localespi", "77.1", "jar",
        "77d0da4f10c6158174cc3dafbb51356031a09e0fcaaf0432330afb4fb552cac9",
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Release:
    """A server with the plugins that were chosen for it.

    Attributes:
        version: of OpenSearch.
        oldest_java: feature release.
        newest_java: feature release; None where any later one will do.
        server: the server's archive.
        plugins: archives of plugins by the name that users write, k-NN first; a jar belongs to the plugin before it.
        modules: of a server whose archive lacks them: jars by module, the one with the module's class first.
        default: whether these are the plugins that come along unless others are named.
    """

    version: str
    oldest_java: int
    newest_java: int | None
    server: Part
    plugins: Mapping[str, tuple[Part, ...]]
    modules: Mapping[str, tuple[Part, ...]]
    default: bool

    @property
    def locales(self) -> tuple[Part, ...]:
        """What a trimmed Java needs besides; empty where the server runs on a full one only.

        The security manager of 2.x keeps ICU from reading its own data.
        """
        return LOCALES if self.newest_java is None else ()

    @property
    def parts(self) -> tuple[Part, ...]:
        """All files."""
        others = [part for parts in (*self.plugins.values(), *self.modules.values()) for part in parts]
        return (self.server, *others, *self.locales)

    @property
    def folder(self) -> str:
        """Name of the folder that it is unpacked into."""
        chosen = [name for name in self.plugins if name != KNN] or ["plain"]
        return f"opensearch-{self.version}" if self.default else "-".join([f"opensearch-{self.version}", *chosen])


def find_release(version: str = VERSION, plugins: Collection[str] | None = None) -> Release:
    """A release with k-NN and these plugins; None means the release's own default.

    Raises:
        UsageError: the repository does not have this version, or not this plugin of it.
    """
    releases = _releases()
    if version not in releases:
        raise UsageError(
            f"OpenSearch {version} cannot be had from the Maven repository with all its parts.",
            hint=f"Use one of {', '.join(releases)}.",
        )
    facts = releases[version]
    offered = [name for name in facts["plugins"] if name != KNN]
    for name in plugins or ():
        if name not in offered:
            raise UsageError(
                f"The Maven repository has no {name} for OpenSearch {version}.",
                hint=f"It has {' and '.join(offered)}." if offered else "It has k-NN alone; leave --with out.",
            )
    chosen = set(facts["default"] if plugins is None else plugins)
    oldest, newest = [*facts["java"], None][:2]
    return Release(
        version, oldest, newest,
        server=_parts(f"OpenSearch {version}", facts["server"])[0],
        plugins={
            name: _parts(f"the plugin {name}", files)
            for name, files in facts["plugins"].items()
            if name == KNN or name in chosen
        },
        modules={name: _parts(f"the module {name}", files) for name, files in facts.get("modules", {}).items()},
        default=chosen == set(facts["default"]),
    )  # fmt: skip


def default_plugins(version: str) -> list[str]:
    """The plugins that come along with a version unless others are named; see `find_release`."""
    return [name for name in find_release(version).plugins if name != KNN]


@cache
def _releases() -> dict[str, Any]:
    return tomllib.loads((resources.files("clipita.opensearch.local") / "releases.toml").read_text(encoding="utf-8"))


def _parts(name: str, files: Mapping[str, str]) -> tuple[Part, ...]:
    found = []
    for coordinates, sha256 in files.items():
        group, artifact, version, packaging, classifier = [*coordinates.split(":"), ""][:5]
        found.append(Part(name, group, artifact, version, packaging, sha256, classifier))
    return tuple(found)
