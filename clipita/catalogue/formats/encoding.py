"""The encoding of a text file, told from its bytes, and such a file as UTF-8."""

from __future__ import annotations

import codecs
import io
import re
from typing import BinaryIO

UTF_8 = "utf-8"
WINDOWS = "cp1252"
"""Windows-1252, of which Latin-1's letters and signs are a part."""

_BOMS = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_CHUNK = 2**20
_WESTERN = re.compile(
    "[ÄÖÜäöüßÀÁÂÃÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕØŒÙÚÛÝàáâãåæçèéêëìíîïñòóôõøœùúûý€£¥©®™°±²³¼½¾·×«»‘’‚“”„–—…•§¡¿ºª\u00a0]"
)
_HIGH = re.compile("[^\x00-\x7f]")
_LETTERS = re.compile("[^\\W\\d_a-zA-Z]{4}")
"""Four letters beyond ASCII in a row: no western word has them, and every Cyrillic or Greek one does."""
LEAST_SHARE = 0.98


def encoding_of(stream: BinaryIO) -> str:
    """`utf-8`, `utf-16` or `cp1252`, from a stream at its beginning, which is read.

    UTF-16 has a byte order mark. A file that is UTF-8 up to a first broken place is UTF-8 with damage if it had any
    character beyond ASCII before; otherwise it is Windows-1252 if what follows reads as western European letters and
    signs. Everything else counts as UTF-8, so that rows that are not are told one by one.
    """
    decoder = codecs.getincrementaldecoder(UTF_8)()
    first = True
    while chunk := stream.read(_CHUNK):
        if first and chunk[:2] in _BOMS:
            return _BOMS[chunk[:2]]
        first = False
        if chunk.isascii() and not decoder.getstate()[0]:
            continue
        before = decoder.getstate()[0]
        try:
            text = decoder.decode(chunk)
        except UnicodeDecodeError as error:
            whole = before + chunk
            return UTF_8 if _HIGH.search(whole[: error.start].decode(UTF_8)) else _of_bytes(whole)
        if not text.isascii():
            return UTF_8
    return UTF_8


def as_utf_8(stream: BinaryIO, encoding: str) -> BinaryIO:
    """The stream's text as UTF-8; bytes that its encoding lacks become U+FFFD."""
    if encoding == UTF_8:
        return stream
    return io.BufferedReader(_Recoded(stream, encoding))


def _of_bytes(data: bytes) -> str:
    text = data.decode(WINDOWS, errors="replace")
    high = _HIGH.findall(text)
    western = sum(map(len, _WESTERN.findall(text)))
    if high and western >= LEAST_SHARE * len(high) and not _LETTERS.search(text):
        return WINDOWS
    return UTF_8


class _Recoded(io.RawIOBase):
    def __init__(self, stream: BinaryIO, encoding: str) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        while not self._left:
            chunk = self._stream.read(_CHUNK // 16)
            self._left = self._decoder.decode(chunk, final=not chunk).encode(UTF_8)
            if not chunk:
                break
        size = min(len(buffer), len(self._left))
        buffer[:size] = self._left[:size]
        self._left = self._left[size:]
        return size

    def close(self) -> None:
        self._stream.close()
        super().close()
