from __future__ import annotations

import contextlib
import io
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import PIL.Image
import pytest

from clipita.catalogue import ImageSource, load_image
from clipita.catalogue.images import download
from clipita.errors import ImageError


def encoded(format_: str) -> bytes:
    stream = io.BytesIO()
    PIL.Image.new("RGB", (24, 24), "red").save(stream, format_)
    return stream.getvalue()


class _Shop(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.seen.append(self.path)  # type: ignore[attr-defined]
        match self.path:
            case "/1.jpg":
                self._answer(200, encoded("JPEG"))
            case "/moved.jpg":
                self._answer(302, b"", Location="/1.jpg")
            case "/loop.jpg":
                self._answer(302, b"", Location="/loop.jpg")
            case "/away.jpg":
                self._answer(302, b"", Location="file:///etc/hostname")
            case "/port.jpg":
                self._answer(302, b"", Location="http://127.0.0.1:99999/1.jpg")
            case "/busy.jpg" if self.server.seen.count(self.path) == 1:  # type: ignore[attr-defined]
                self._answer(503, b"later")
            case "/busy.jpg":
                self._answer(200, encoded("PNG"))
            case "/page.jpg":
                self._answer(200, b"<html></html>")
            case "/declared.jpg":
                self._answer(200, b"x", **{"Content-Length": str(10**9)})
            case "/endless.jpg":
                self._endless()
            case "/hangup.jpg":
                self._answer(200, b"x" * 10, **{"Content-Length": "1000"})
            case _:
                self._answer(404, b"no")

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _endless(self) -> None:
        self.send_response(200)
        self.end_headers()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            while True:
                self.wfile.write(b"\xff" * 2**16)

    def log_message(self, *_: Any) -> None:
        pass


class _Server(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Shop)
        self.seen: list[str] = []


@pytest.fixture
def shop() -> Iterator[_Server]:
    download.configure(["127.0.0.1"])
    server = _Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()
    download.configure()


class TestUrls:
    def load(self, shop: _Server, path: str) -> PIL.Image.Image:
        return load_image(ImageSource(location=f"http://127.0.0.1:{shop.server_port}{path}"))

    @pytest.fixture(autouse=True)
    def _hasty(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(download, "FIRST_WAIT", 0.01)

    @pytest.mark.parametrize("path", ["/1.jpg", "/moved.jpg", "/busy.jpg"])
    def test_fetched(self, shop: _Server, path: str) -> None:
        assert self.load(shop, path).size == (24, 24)

    @pytest.mark.parametrize(
        ("path", "reason"),
        [
            ("/gone.jpg", "answers with status 404"),
            ("/loop.jpg", "too many redirects"),
            ("/away.jpg", "cannot be fetched"),
            ("/port.jpg", "has no port 99999"),
            ("/page.jpg", "not of a known format"),
            ("/declared.jpg", "too large: .* has 1,000,000,000 bytes"),
            ("/endless.jpg", "too large: .* more than"),
            ("/hangup.jpg", "cannot be fetched"),
        ],
    )
    def test_refused(self, shop: _Server, path: str, reason: str) -> None:
        with pytest.raises(ImageError, match=reason):
            self.load(shop, path)

    def test_redirects_are_limited(self, shop: _Server) -> None:
        with pytest.raises(ImageError):
            self.load(shop, "/loop.jpg")
        assert len(shop.seen) == download.REDIRECTS + 1

    @pytest.mark.parametrize(
        "url",
        [
            "http://", "http://[::1", "http://127.0.0.1:99999/1.jpg", "http://127.0.0.1:65536/", "http://127.0.0.1:-1/",
            "http://a b/1.jpg", "http://a..b/", "http://xn--/", "http://\x7f/", "http://127.0.0.1\u2028/",
            "http://127.0.0.1:80:80/", "http://127.0.0.1:1/\ud800", "http://" + "a" * 300, "http://[::1%lo]/",
        ],
    )  # fmt: skip
    @pytest.mark.usefixtures("shop")
    def test_no_url(self, url: str) -> None:
        with pytest.raises(ImageError, match="cannot be fetched"):
            load_image(ImageSource(location=url))

    def test_whatever_a_fetch_raises_is_the_images_error(self, shop: _Server, monkeypatch: pytest.MonkeyPatch) -> None:
        """A mock, as no input is known that reaches this line."""

        async def fail(*_: object) -> None:
            raise ExceptionGroup("of a task group", [ExceptionGroup("inner", [OverflowError("too far")])])

        monkeypatch.setattr(download, "_image", fail)
        with pytest.raises(ImageError, match=r"1\.jpg, too far"):
            self.load(shop, "/1.jpg")

    def test_passwords_stay_out_of_messages(self, shop: _Server) -> None:
        with pytest.raises(ImageError) as caught:
            load_image(ImageSource(location=f"http://me:secret@127.0.0.1:{shop.server_port}/gone.jpg"))
        assert "secret" not in str(caught.value)
