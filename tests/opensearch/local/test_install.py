"""Downloads: through the real Maven client, from a small Maven repository that the test serves itself."""

from __future__ import annotations

import gc
import hashlib
import socket
import sys
import threading
import warnings
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from clipita.errors import LocalNodeError, MissingExtraError
from clipita.opensearch.local.install import cache_folder, fetch, install
from clipita.opensearch.local.releases import Part, find_release

CONTENT = b"a server, packed " * 5000


def make_part(sha256: str | None = None) -> Part:
    digest = hashlib.sha256(CONTENT).hexdigest()
    return Part("the thing", "org.example", "thing", "1.0", "zip", sha256 or digest)


class Repository(BaseHTTPRequestHandler):
    """Serves org.example:thing:1.0; breaks off the first `truncated` transfers half-way."""

    truncated = 0
    requests = 0

    def do_GET(self) -> None:
        if self.path != "/org/example/thing/1.0/thing-1.0.zip":
            self.send_error(404)
            return
        type(self).requests += 1
        body = CONTENT[: len(CONTENT) // 2] if self.requests <= self.truncated else CONTENT
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Repository]]:
    handler = type("OneRepository", (Repository,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    name_mirror(tmp_path, monkeypatch, server.server_port)
    yield handler
    server.shutdown()
    thread.join()
    server.server_close()
    with warnings.catch_warnings():
        # jgo leaves the connection of a failed transfer to the garbage collector; collect it here, not in a later test.
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def name_mirror(home: Path, monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    monkeypatch.setenv("HOME", str(home))
    for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(variable, raising=False)
    settings = home / ".config" / "jgo.conf"
    settings.parent.mkdir()
    settings.write_text(f"[repositories]\nmirror = http://127.0.0.1:{port}\n")


@pytest.fixture
def downloads(tmp_path: Path) -> Path:
    folder = tmp_path / "downloads"
    folder.mkdir()
    return folder


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)


def test_download_is_verified_and_counted(repository: type[Repository], downloads: Path) -> None:
    told: list[tuple[str, int, int | None]] = []
    file = fetch(make_part(), downloads, lambda *step: told.append(step))
    assert file.read_bytes() == CONTENT
    assert told[-1] == ("Downloading the thing", len(CONTENT), len(CONTENT))
    assert [path.name for path in downloads.iterdir()] == ["thing-1.0.zip"]


def test_second_fetch_asks_nobody(repository: type[Repository], downloads: Path) -> None:
    fetch(make_part(), downloads)
    fetch(make_part(), downloads)
    assert repository.requests == 1


def test_wrong_digest_is_refused_and_leaves_nothing(repository: type[Repository], downloads: Path) -> None:
    with pytest.raises(LocalNodeError, match=f"SHA-256 {make_part().sha256} instead of {'0' * 64}"):
        fetch(make_part("0" * 64), downloads)
    assert list(downloads.iterdir()) == []


def test_broken_transfer_is_tried_again(repository: type[Repository], downloads: Path, no_pauses: None) -> None:
    repository.truncated = 2
    assert fetch(make_part(), downloads).read_bytes() == CONTENT
    assert repository.requests == 3


def test_damaged_file_in_the_cache_is_replaced(repository: type[Repository], downloads: Path) -> None:
    (downloads / "thing-1.0.zip").write_bytes(CONTENT[:100])
    told: list[str] = []
    assert fetch(make_part(), downloads, lambda what, *_: told.append(what)).read_bytes() == CONTENT
    assert "damaged" in told[0]


def test_absent_artifact_names_the_ways_out(repository: type[Repository], downloads: Path, no_pauses: None) -> None:
    part = Part("the other", "org.example", "other", "1.0", "zip", "0" * 64)
    with pytest.raises(LocalNodeError, match=r"other-1\.0\.zip cannot be downloaded") as caught:
        fetch(part, downloads)
    assert str(downloads) in str(caught.value.hint)


def test_unreachable_repository(
    tmp_path: Path, downloads: Path, monkeypatch: pytest.MonkeyPatch, no_pauses: None
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: nobody answers, and nobody else gets the port
        name_mirror(tmp_path, monkeypatch, taken.getsockname()[1])
        with pytest.raises(LocalNodeError, match="cannot be downloaded") as caught:
            fetch(make_part(), downloads)
    assert "HTTPS_PROXY" in str(caught.value.hint)


def test_without_jgo_the_extra_is_named(downloads: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jgo.config", None)  # what an import sees when the package is not installed
    with pytest.raises(MissingExtraError, match=r"clipita\[local\]"):
        fetch(make_part(), downloads)


def test_file_put_there_by_hand_needs_no_jgo(downloads: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jgo.config", None)
    (downloads / "thing-1.0.zip").write_bytes(CONTENT)
    assert fetch(make_part(), downloads) == downloads / "thing-1.0.zip"


def test_cache_folder_order(monkeypatch: pytest.MonkeyPatch) -> None:
    both = {"CLIPITA_CACHE": "/fast/clipita", "XDG_CACHE_HOME": "/xdg"}
    assert cache_folder(both) == Path("/fast/clipita")
    assert cache_folder({"XDG_CACHE_HOME": "/xdg"}) == Path("/xdg/clipita")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert cache_folder({}) == Path.home() / ".cache" / "clipita"
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert cache_folder({}) == Path("/var/cache/clipita")


def test_unusable_cache_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LocalNodeError, match="cannot be installed") as caught:
        install(tmp_path / "file" / "cache", find_release())
    assert "CLIPITA_CACHE" in str(caught.value.hint)
