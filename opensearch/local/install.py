"""Download and unpack OpenSearch with its plugins, once per user, for all projects."""

from __future__ import annotations

import errno
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from clipita.errors import LocalNodeError, MissingExtraError
from clipita.files import locked, sha256
from clipita.opensearch.local.layout import unpack
from clipita.opensearch.local.releases import Part, Release

ATTEMPTS = 3
NETWORK_SECONDS = 60
DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS}

Progress = Callable[[str, int, int | None], None]
"""Called with the step, the bytes done and the bytes in total; None if there is no total."""


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


def install(cache: Path, release: Release, progress: Progress = silent) -> Path:
    """Download and unpack a release if it is missing; returns its folder.

    Of two processes at once the second waits for the first. The folder appears only when it is complete. The files may
    also be copied into `cache/downloads` by hand.

    Raises:
        LocalNodeError: the repository cannot be reached, a file has another digest, or the disk is full or read-only.
        MissingExtraError: a file must be downloaded and jgo is not installed.
    """
    target = cache / release.folder
    if target.is_dir():
        return target
    downloads = cache / "downloads"
    try:
        downloads.mkdir(parents=True, exist_ok=True)
        with locked(cache / "install.lock", lambda: progress("Waiting for another installation", 0, None)):
            if not target.is_dir():
                files = {part: fetch(part, downloads, progress) for part in release.parts}
                progress(f"Unpacking OpenSearch {release.version}", 0, None)
                unpack(release, files, target)
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
            return Path(artifact.artifact(part.classifier, part.packaging).resolve())
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
