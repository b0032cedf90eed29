"""What a shop adds to a bundle after its export: more names of categories, and new categories.

They stand in `categories.json` beside the graphs. The graphs, the manifest and the fingerprint stay as they are, so
that the vectors of an index stay valid. The file carries the SHA-256 of its own content and the fingerprint of its
bundle: one that was changed by hand or copied from another bundle is refused.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from clipita.catalogue.product import CategoryPath
from clipita.errors import BundleError
from clipita.files import write_atomically

Vectors = npt.NDArray[np.float32]

FILE = "categories.json"
SCHEMA = 1
GATE_START = 0.78
"""Cosine to the nearest known text above which a query moves to the vector of that text's category."""
TIE = 1e-3
"""By how much a text of the graph must be nearer than one that the shop added."""
SAME = 0.97
"""Cosine from which on the graph's answer is the vector of a category; the answer holds traces of its neighbours."""
_AGAIN = "Delete it, then add its names and categories again; see: clipita categories --help"
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class CategoryName:
    """A text that stands for a category, such as a synonym or a translation; `language` is for people."""

    text: str
    category: CategoryPath
    language: str = ""


@dataclass(frozen=True)
class NewCategory:
    """A category that training did not see.

    Attributes:
        vector: float32 [dim], unit length.
        thresholds: where its page ends, see `clipita.evaluation.thresholds.Curve`.
        examples: ids of the products that it was made from.
        vectors: their unit vectors, float32 [n, dim].
        texts: its name and the name as people type it ("buy Clogs online"), all of which are recognised.
    """

    path: CategoryPath
    vector: Vectors = field(repr=False, compare=False)
    thresholds: tuple[float, ...] = field(repr=False)
    examples: tuple[str, ...]
    vectors: Vectors = field(repr=False, compare=False)
    texts: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True)
class Amendments:
    """Names and new categories of one bundle.

    Attributes:
        names: texts and the categories that they stand for; a new category's own name is not among them.
        new: the new categories.
        anchored: vectors of all `entries` as if none named a known category, float32 [entries, dim], unit length.
        answers: vectors of the categories that `names` stand for, by the category's own name.
        moved: vectors of known categories before and after they made room for new ones, by name.
    """

    names: tuple[CategoryName, ...] = ()
    new: tuple[NewCategory, ...] = ()
    anchored: Vectors = field(default_factory=lambda: np.zeros((0, 0), dtype=np.float32), repr=False, compare=False)
    answers: Mapping[str, Vectors] = field(default_factory=dict, repr=False, compare=False)
    moved: Mapping[str, tuple[Vectors, Vectors]] = field(default_factory=dict, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.names) + len(self.new)

    @property
    def entries(self) -> Iterator[tuple[str, CategoryPath]]:
        """Every text with its category: the names, then the texts of each new category."""
        yield from ((name.text, name.category) for name in self.names)
        yield from ((text, category.path) for category in self.new for text in category.texts)

    def apply(self, vectors: Vectors, anchored: Vectors, gates: Vectors) -> tuple[Vectors, Vectors]:
        """What the text graph says of a batch, with the added texts known too: vectors [B, dim] and gates [B, 1].

        A query that is nearer to an added text than to any that the graph knows moves towards that text's category, as
        the graph moves others towards theirs.

        Args:
            vectors: unit vectors, float32 [B, dim].
            anchored: unit vectors of the queries as if none named a known category, float32 [B, dim].
            gates: how near each query is to a text that the graph knows, float32 [B], 0 to 1.
        """
        if self.moved:
            vectors = self._with_moved(vectors, anchored, gates)
        cosines = anchored @ self.anchored.T
        nearest = cosines.argmax(axis=1)
        share = ((cosines.max(axis=1) - GATE_START) / (1 - GATE_START)).clip(0, 1)
        nearer = (share > 0) & (share + TIE >= gates)
        answered = _blend(anchored, self._answers[nearest], share[:, None])
        return np.where(nearer[:, None], answered, vectors), np.where(nearer, share, gates)[:, None]

    def _with_moved(self, vectors: Vectors, anchored: Vectors, gates: Vectors) -> Vectors:
        """The vectors with the answers of moved categories in place of those that the graph gives."""
        before, after = (np.array(side) for side in zip(*self.moved.values(), strict=True))
        gate = gates[:, None]
        # The graph's vector is (1 - gate) * anchored + gate * answer at unit length, with a unit answer.
        along = (1 - gate) * (vectors * anchored).sum(axis=1, keepdims=True)
        length = along + np.sqrt((along**2 - (1 - gate) ** 2 + gate**2).clip(0))
        answers = (length * vectors - (1 - gate) * anchored) / np.maximum(gate, TIE)
        cosines = answers @ before.T
        known = (gates > TIE) & (cosines.max(axis=1) > SAME)
        return np.where(known[:, None], _blend(anchored, after[cosines.argmax(axis=1)], gate), vectors)

    def category(self, text: str) -> CategoryPath | None:
        """The category that a text stands for by itself, ignoring case; None for all other texts."""
        return self._by_words.get(words_of(text))

    def respelled(self, text: str) -> str | None:
        """The text with each added name replaced by its category's own name; None where it has none.

        The longest name comes first: "Kinder Sonnenbrillen" before "Sonnenbrillen".
        """
        found = list(_WORD.finditer(text))
        keys = [_fold(match.group()) for match in found]
        parts: list[str] = []
        at = end = 0
        while at < len(found):
            for count in range(min(self._longest, len(found) - at), 0, -1):
                category = self._names_by_words.get(tuple(keys[at : at + count]))
                if category is not None:
                    parts += [text[end : found[at].start()], category[-1]]
                    at += count
                    end = found[at - 1].end()
                    break
            else:
                at += 1
        return "".join(parts) + text[end:] if parts else None

    @cached_property
    def _answers(self) -> Vectors:
        new = [category.vector for category in self.new for _ in category.texts]
        known = {**self.answers, **{name: after for name, (_, after) in self.moved.items()}}
        return np.array([*(known[name.category[-1]] for name in self.names), *new], dtype=np.float32)

    @cached_property
    def _names_by_words(self) -> dict[tuple[str, ...], CategoryPath]:
        return {words_of(name.text): name.category for name in self.names}

    @cached_property
    def _by_words(self) -> dict[tuple[str, ...], CategoryPath]:
        new = {words_of(category.path[-1]): category.path for category in self.new}
        return {**self._names_by_words, **new}

    @cached_property
    def _longest(self) -> int:
        return max(map(len, self._names_by_words), default=0)


def words_of(text: str) -> tuple[str, ...]:
    """A text's words without case and punctuation, by which two texts are the same."""
    return tuple(_WORD.findall(_fold(text)))


def _fold(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()


def _blend(anchored: Vectors, answers: Vectors, share: Vectors) -> Vectors:
    """Unit vectors between the anchored ones and the answers, [B, dim]; share is [B, 1]."""
    mixed = (1 - share) * anchored + share * answers
    result: Vectors = mixed / np.linalg.norm(mixed, axis=1, keepdims=True)
    return result


class _Name(msgspec.Struct):
    text: str
    category: list[str]
    language: str


class _New(msgspec.Struct):
    path: list[str]
    vector: bytes
    thresholds: list[float]
    examples: list[str]
    vectors: bytes
    texts: list[str]


class _Content(msgspec.Struct):
    """The file; vectors in base64: `anchored` and examples as float16, all others as float32, little-endian."""

    schema: int
    sha256: str
    fingerprint: str
    names: list[_Name]
    new: list[_New]
    anchored: bytes
    answers: dict[str, bytes]
    moved: dict[str, tuple[bytes, bytes]]


def read(folder: Path, fingerprint: str, dim: int) -> Amendments:
    """The amendments of a bundle; empty where it has none.

    Raises:
        BundleError: the file was changed by hand, belongs to another bundle, comes from a newer clipita, or cannot be
            read.
    """
    file = folder / FILE
    if file.is_symlink():
        raise BundleError(f"{file} is a link, not a plain file inside the bundle.", hint=_AGAIN)
    if not file.exists():
        return Amendments()
    try:
        content = msgspec.json.decode(file.read_bytes(), type=_Content)
        if content.schema > SCHEMA:
            raise BundleError(
                f"{file} has schema {content.schema}; this clipita reads up to {SCHEMA}.", hint="Upgrade clipita."
            )
        if content.sha256 != _digest(content):
            raise BundleError(f"{file} was changed: its SHA-256 differs.", hint=_AGAIN)
        if content.fingerprint != fingerprint:
            raise BundleError(
                f"{file} belongs to model {content.fingerprint[:8]}, but this bundle is model {fingerprint[:8]}.",
                hint=_AGAIN,
            )
        return _amendments(content, dim)
    except (OSError, ValueError, LookupError, RecursionError) as error:
        raise BundleError(f"{file} cannot be read: {error}.", hint=_AGAIN) from error


def write(folder: Path, fingerprint: str, amendments: Amendments) -> None:
    """Write the amendments of a bundle in one step; without any, the file is removed.

    Raises:
        BundleError: the folder cannot be written.
    """
    file = folder / FILE
    content = _Content(
        schema=SCHEMA,
        sha256="",
        fingerprint=fingerprint,
        names=[_Name(name.text, list(name.category), name.language) for name in amendments.names],
        new=[
            _New(
                list(one.path),
                _bytes(one.vector),
                list(one.thresholds),
                list(one.examples),
                _halves(one.vectors),
                list(one.texts),
            )
            for one in amendments.new
        ],
        anchored=_halves(amendments.anchored),
        answers={name: _bytes(vector) for name, vector in sorted(amendments.answers.items())},
        moved={name: (_bytes(old), _bytes(new)) for name, (old, new) in sorted(amendments.moved.items())},
    )
    content.sha256 = _digest(content)
    try:
        if len(amendments):
            write_atomically(file, msgspec.json.encode(content))
        else:
            file.unlink(missing_ok=True)
    except OSError as error:
        raise BundleError(f"{file} cannot be written: {error.strerror}.", hint="Check its permissions.") from error


def _amendments(content: _Content, dim: int) -> Amendments:
    """The content as arrays; a ValueError or LookupError where they do not fit together."""
    names = tuple(CategoryName(name.text, tuple(name.category), name.language) for name in content.names)
    new = tuple(
        NewCategory(
            tuple(one.path), _floats(one.vector, dim), tuple(one.thresholds), tuple(one.examples),
            _from_halves(one.vectors, len(one.examples), dim), tuple(one.texts),
        )
        for one in content.new
    )  # fmt: skip
    anchored = _from_halves(content.anchored, len(names) + sum(len(one.texts) for one in new), dim)
    known = {name: _floats(vector, dim) for name, vector in content.answers.items()}
    answers = {name.category[-1]: known[name.category[-1]] for name in names}
    moved = {name: (_floats(old, dim), _floats(after, dim)) for name, (old, after) in content.moved.items()}
    return Amendments(names, new, anchored, answers, moved)


def _digest(content: _Content) -> str:
    return hashlib.sha256(msgspec.json.encode(msgspec.structs.replace(content, sha256=""))).hexdigest()


def _bytes(vector: Vectors) -> bytes:
    return vector.astype("<f4").tobytes()


def _halves(vectors: Vectors) -> bytes:
    return vectors.astype("<f2").tobytes()


def _from_halves(data: bytes, count: int, dim: int) -> Vectors:
    return np.frombuffer(data, dtype="<f2").astype(np.float32).reshape(count, dim)


def _floats(data: bytes, dim: int) -> Vectors:
    return np.frombuffer(data, dtype="<f4").astype(np.float32).reshape(dim)
