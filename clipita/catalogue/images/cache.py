"""Fetched images on disk, with the validators by which a server says whether they are still the same."""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from clipita.files import write_atomically

MAX_BYTES = 10 * 10**9
_SPARED = 0.9
"""Share of the limit that stays filled after old images were removed."""


@dataclass(frozen=True, slots=True)
class CachedImage:
    """A fetched image: its encoded file, and the server's validators (RFC 9110, 8.8)."""

    data: bytes = field(repr=False)
    etag: str | None = None
    last_modified: str | None = None

    @property
    def conditions(self) -> dict[str, str]:
        """Request headers to which the server answers 304 while nothing has changed."""
        named = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in named.items() if value}


class ImageCache:
    """One file per URL: a line of JSON about the image, then its bytes. Safe for several threads and processes.

    Beyond `max_bytes` of all files the least recently used ones are removed.
    """

    def __init__(self, folder: Path, max_bytes: int = MAX_BYTES) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._bytes: int | None = None

    def get(self, url: str) -> CachedImage | None:
        """The image of a URL; None if the image is missing or its file is damaged."""
        file = self._file(url)
        try:
            head, _, data = file.read_bytes().partition(b"\n")
            facts = orjson.loads(head)
            if facts["url"] != url or facts["sha256"] != hashlib.sha256(data).hexdigest():
                return None
            os.utime(file)
            return CachedImage(data, facts["etag"], facts["last_modified"])
        except (OSError, KeyError, TypeError, ValueError):
            return None

    def put(self, url: str, image: CachedImage) -> None:
        """Keep an image; where the disk refuses it is fetched again next time."""
        digest = hashlib.sha256(image.data).hexdigest()
        facts = {"url": url, "sha256": digest, "etag": image.etag, "last_modified": image.last_modified}
        file = self._file(url)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(file, orjson.dumps(facts) + b"\n" + image.data)
        except OSError:
            return
        self._make_room(len(image.data))

    def _file(self, url: str) -> Path:
        name = hashlib.sha256(url.encode("utf-8", "surrogatepass")).hexdigest()
        return self._folder / name[:2] / name[2:]

    def _make_room(self, added: int) -> None:
        with self._lock:
            if self._bytes is not None and self._bytes + added <= self._max_bytes:
                self._bytes += added
                return
            entries = sorted(self._entries())
            self._bytes = sum(size for _, size, _ in entries)
            if self._bytes <= self._max_bytes:
                return
            for _, size, file in entries:
                if self._bytes <= _SPARED * self._max_bytes:
                    return
                with contextlib.suppress(OSError):
                    file.unlink()
                    self._bytes -= size

    def _entries(self) -> list[tuple[float, int, Path]]:
        """Time of last use, size and path of each file."""
        found = []
        for file in self._folder.glob("??/*"):
            with contextlib.suppress(OSError):
                status = file.stat()
                found.append((status.st_mtime, status.st_size, file))
        return found
