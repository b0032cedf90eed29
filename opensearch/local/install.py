"""Download and unpack OpenSearch with its plugins k-NN and neural-search, once per user, for all projects."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from clipita.errors import LocalNodeError, MissingExtraError
from clipita.files import locked, sha256

VERSION = "3.6.0"
ATTEMPTS = 3
NETWORK_SECONDS = 60
DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS}

Progress = Callable[[str, int, int | None], None]
"""Called with the step, the bytes done and the bytes in total; None if there is no total."""


@dataclass(frozen=True)
class Part:
    """A file in the Maven repository, pinned by its SHA-256."""

    name: str
    group: str
    artifact: str
    version: str
    packaging: str
    sha256: str

    @property
    def file_name(self) -> str:
        """File name in the repository and in the cache."""
        return f"{self.artifact}-{self.version}.{self.packaging}"


SERVER = Part(
    f"OpenSearch {VERSION}", "org.opensearch.distribution.integ-test-zip", "opensearch", VERSION, "zip",
    "a91faa1dc1cadc78cb278b4f63847e19e1627a4e9de698e14e7efc14ee37b286",
)  # fmt: skip
PLUGINS = {
    "opensearch-knn": Part(
        "the k-NN plugin", "org.opensearch.plugin", "opensearch-knn", f"{VERSION}.0", "zip",
        "ac392ca28a39b3bf290648a422ef30cb149dda2963a9d7feb26060e932341c9a",
    ),
    "opensearch-neural-search": Part(
        "the neural-search plugin", "org.opensearch.plugin", "neural-search", f"{VERSION}.0", "zip",
        "6ef1b206e79391e2e36268e32dc34d27fd8b8a59a8eb0a7393c97d53b038e433",
    ),
}  # fmt: skip
"""By the name of the plugin's folder."""
# Part of every installation, which then runs on a full and on a trimmed Java. A full Java ignores them: only
# `-Djava.locale.providers=…,SPI` makes it look for them.
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
PARTS = (SERVER, *PLUGINS.values(), *LOCALES)


def silent(_what: str, _done: int, _total: int | None) -> None:
    """Report nothing."""


def cache_folder(environ: Mapping[str, str] | None = None) -> Path:
    """Folder of downloads and of the unpacked server, shared by all projects of a user.

    CLIPITA_CACHE, else $XDG_CACHE_HOME/clipita, else ~/.cache/clipita. Root uses /var/cache/clipita: the other user
    that OpenSearch may have to run as cannot enter root's home.
    """
    environ = os.environ if environ is None else environ
    if named := environ.get("CLIPITA_CACHE"):
        return Path(named).expanduser().absolute()
    if base := environ.get("XDG_CACHE_HOME"):
        return Path(base).absolute() / "clipita"
    return Path("/var/cache/clipita") if os.geteuid() == 0 else Path.home() / ".cache" / "clipita"


def install(cache: Path, progress: Progress = silent) -> Path:
    """Download and unpack the server if it is missing; returns its folder.

    Of two processes at once the second waits for the first. The folder appears only when it is complete. The files may
    also be copied into `cache/downloads` by hand.

    Raises:
        LocalNodeError: the repository cannot be reached, a file has another digest, or the disk is full or read-only.
        MissingExtraError: a file must be downloaded and jgo is not installed.
    """
    target = cache / f"opensearch-{VERSION}"
    if target.is_dir():
        return target
    downloads = cache / "downloads"
    try:
        downloads.mkdir(parents=True, exist_ok=True)
        with locked(cache / "install.lock", lambda: progress("Waiting for another installation", 0, None)):
            if not target.is_dir():
                archives = {part: fetch(part, downloads, progress) for part in PARTS}
                progress(f"Unpacking {SERVER.name}", 0, None)
                _unpack(archives, target)
    except OSError as error:
        raise LocalNodeError(
            f"OpenSearch cannot be installed in {cache}: {error.strerror or error}.",
            hint="It needs about 500 MB. Set CLIPITA_CACHE to use another folder.",
        ) from error
    return target


def fetch(part: Part, downloads: Path, progress: Progress = silent) -> Path:
    """The verified file of a part in `downloads`; downloads it if it is missing or damaged.

    Raises:
        LocalNodeError: the repository cannot be reached, or the file has another digest.
        MissingExtraError: jgo is not installed.
    """
    file = downloads / part.file_name
    if file.exists():
        if sha256(file) == part.sha256:
            return file
        progress(f"{file} is damaged, downloading it again", 0, None)
        file.unlink()
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=downloads) as staging:
        fetched = _download(part, Path(staging), downloads, progress)
        digest = sha256(fetched)
        if digest != part.sha256:
            raise LocalNodeError(
                f"{part.file_name} was downloaded with SHA-256 {digest} instead of {part.sha256} and deleted.",
                hint="Try again. If the digest stays wrong, a proxy or mirror changes files: use another one.",
            )
        fetched.replace(file)
    return file


def _download(part: Part, staging: Path, downloads: Path, progress: Progress) -> Path:
    try:
        from jgo.config import GlobalSettings
        from jgo.maven import MavenContext, PythonResolver
    except ImportError:
        raise MissingExtraError("jgo (it downloads OpenSearch)", "local") from None

    @contextmanager
    def report(_file_name: str, total: int) -> Iterator[Callable[[int], None]]:
        done = 0

        def advance(count: int) -> None:
            nonlocal done
            done += count
            progress(f"Downloading {part.name}", done, total)

        yield advance

    for attempt in range(1, ATTEMPTS + 1):
        context = MavenContext(
            resolver=PythonResolver(progress_callback=report),
            # A new folder per attempt: jgo takes an existing file as complete.
            repo_cache=staging / str(attempt),
            # A mirror from jgo's settings file; the pinned digest makes any source safe.
            remote_repos=GlobalSettings.load().repositories or None,
            timeout=NETWORK_SECONDS,
        )
        artifact = context.project(part.group, part.artifact).at_version(part.version)
        try:
            return Path(artifact.artifact(packaging=part.packaging).resolve())
        except (OSError, RuntimeError) as error:
            if isinstance(error, OSError) and error.errno in DISK_ERRORS:
                raise
            if attempt == ATTEMPTS:
                raise LocalNodeError(
                    f"{part.file_name} cannot be downloaded from the Maven repository: {error}.",
                    hint="Check network and proxy (HTTPS_PROXY), name a mirror in the section [repositories] "
                    f"of ~/.config/jgo.conf, or copy the file from another machine into {downloads}.",
                ) from error
            progress(f"Downloading {part.name} again, attempt {attempt + 1} of {ATTEMPTS}", 0, None)
            time.sleep(attempt)
    raise AssertionError("the last attempt returns or raises")


def _unpack(archives: Mapping[Part, Path], target: Path) -> None:
    staging = Path(tempfile.mkdtemp(prefix=".unpack-", dir=target.parent))
    try:
        with zipfile.ZipFile(archives[SERVER]) as archive:
            archive.extractall(staging)
        server = staging / f"opensearch-{VERSION}"
        for name, part in PLUGINS.items():
            with zipfile.ZipFile(archives[part]) as archive:
                archive.extractall(server / "plugins" / name)
        for part in LOCALES:
            shutil.copyfile(archives[part], server / "lib" / part.file_name)
        # Any user may run the server: zipfile drops the execute bits, and the umask may be strict.
        for path in (server, *server.rglob("*")):
            path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
        server.replace(target)
    finally:
        shutil.rmtree(staging)
