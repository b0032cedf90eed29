"""The encoding of a file, told from its bytes."""

from __future__ import annotations

import io

import pytest

from clipita.catalogue.formats.encoding import as_utf_8, encoding_of

LONG = "a" * (2**20 - 1)
WESTERN = "Füße, crème brûlée, 5 €, señor"


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (b"", "utf-8"),
        (b"plain", "utf-8"),
        ("Füße".encode(), "utf-8"),
        ((LONG + "é").encode(), "utf-8"),
        ((LONG + "é").encode()[:-1], "utf-8"),
        (WESTERN.encode("utf-16"), "utf-16"),
        (b"\xfe\xff" + WESTERN.encode("utf-16-be"), "utf-16"),
        (WESTERN.encode("cp1252"), "cp1252"),
        ((LONG + WESTERN).encode("cp1252"), "cp1252"),
        ("café\n".encode("latin-1"), "cp1252"),
        ("Füße".encode() + "Füße".encode("latin-1"), "utf-8"),
        ("Женская обувь".encode("cp1251"), "utf-8"),
        ("Γυναικεία παπούτσια".encode("cp1253"), "utf-8"),
        ("женские\n".encode("koi8-r"), "utf-8"),
        (b"\xff\xfb\x90", "utf-8"),
        (bytes(range(128, 256)), "utf-8"),
    ],
)
def test_what_the_bytes_say(data: bytes, encoding: str) -> None:
    assert encoding_of(io.BytesIO(data)) == encoding


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1252"])
@pytest.mark.parametrize("size", [1, 7, 2**20])
def test_as_utf_8(encoding: str, size: int) -> None:
    text = WESTERN * 5000
    stream = as_utf_8(io.BytesIO(text.encode(encoding)), encoding)
    pieces = []
    while piece := stream.read(size):
        pieces.append(piece)
    assert b"".join(pieces).decode() == text
    stream.close()


def test_a_broken_end_is_no_error() -> None:
    assert as_utf_8(io.BytesIO("ab".encode("utf-16")[:-1]), "utf-16").read().decode() == "a\ufffd"
