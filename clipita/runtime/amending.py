"""Amending a bundle: what may be added to its names and categories, and the one place that writes them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from clipita.catalogue.column_names import nearest
from clipita.catalogue.product import SEPARATOR, CategoryPath, CategoryTree, path_text, split_path
from clipita.errors import BundleError, UsageError
from clipita.files import locked
from clipita.runtime.amendments import Amendments, CategoryName, NewCategory, Vectors, words_of, write
from clipita.runtime.bundle import QUERY_FILES, Bundle
from clipita.runtime.encoders import TextEncoder

LONGEST = 200
"""Characters of a text."""


class Amending:
    """A bundle that is being amended.

    Attributes:
        bundle: as it was before.
        before: its amendments.
        encoder: its text graph alone, which knows no amendments.
        known: every category by its path: those of the training, what stands above them, and those added.
    """

    def __init__(self, bundle: Bundle, encoder: TextEncoder) -> None:
        self.bundle, self.encoder = bundle, encoder
        self.before = bundle.amendments
        paths = [*bundle.categories, *(one.path for one in self.before.new)]
        tree = sorted(CategoryTree(paths).categories, key=lambda category: (category.level, category.path))
        self.known = [category.path for category in tree]
        self._paths = {path_text(path).casefold(): path for path in self.known}
        # Categories of one name share one vector: the uppermost stands for all.
        self._names = {words_of(path[-1]): path for path in reversed(self.known)}

    def find(self, wanted: str) -> CategoryPath:
        """A known category by its path (`A > B > C`) or its name, ignoring case.

        Raises:
            UsageError: the model knows no such category.
        """
        key = path_text(split(wanted)).casefold()
        found = self._paths.get(key) or self.named(wanted)
        if found is not None:
            return found
        near = nearest(key, [*(path[-1] for path in self.known), *map(path_text, self.known)], cutoff=0.5)
        raise UsageError(
            f"The model knows no category {wanted!r}.",
            hint=f"Did you mean {path_text(self.find(near))}?" if near else "Add it with: clipita categories add",
        )

    def named(self, text: str) -> CategoryPath | None:
        """The uppermost category with this name of its own."""
        return self._names.get(words_of(text))

    def name(self, names: Iterable[tuple[str, str, str]]) -> int:
        """Add texts for categories, each a category, a text and its language; returns how many are new.

        Raises:
            UsageError: an unknown category, or a text that is empty, too long, or stands for another category.
        """
        taken = {words_of(name.text): name.category for name in self.before.names}
        new: list[CategoryName] = []
        for category, text, language in names:
            key, path = _checked(text), self.find(category)
            own = self._names.get(key)
            other = own or taken.get(key)
            if other is None:
                taken[key] = path
                new.append(CategoryName(text.strip(), path, language.strip()))
            elif other[-1] != path[-1]:
                free = f"Take it from the first with: clipita categories remove {text!r}"
                raise UsageError(
                    f"{text!r} would name two categories: {path_text(other)} and {path_text(path)}.",
                    hint="It is the first one's own name." if own else free,
                )
        if new:
            self.write([*self.before.names, *new], self.before.new, self.before.moved)
        return len(new)

    def write(
        self,
        names: Sequence[CategoryName],
        new: Sequence[NewCategory],
        moved: Mapping[str, tuple[Vectors, Vectors]],
    ) -> None:
        """Write the bundle's amendments; what was encoded before is not encoded again."""
        answers = {**self.before.answers, **{one.path[-1]: one.vector for one in new}}
        needed = {name.category[-1] for name in names}
        answers |= self._encoded(sorted(needed - set(answers)), self.encoder.encode)
        after = Amendments(tuple(names), tuple(new), moved=moved, answers={name: answers[name] for name in needed})
        texts = [text for text, _ in after.entries]
        rows = {text: row for (text, _), row in zip(self.before.entries, self.before.anchored, strict=True)}
        rows |= self._encoded([text for text in texts if text not in rows], self.anchored)
        anchored = np.array([rows[text] for text in texts], dtype=np.float32).reshape(len(texts), self.bundle.dim)
        write(self.bundle.path, self.bundle.fingerprint, dataclasses.replace(after, anchored=anchored))

    def anchored(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors of texts as if none named a known category, float32 [len(texts), dim]."""
        found = self.encoder.anchored(texts)
        assert found is not None
        return found

    @staticmethod
    def _encoded(texts: Sequence[str], encode: Callable[[Sequence[str]], Vectors]) -> dict[str, Vectors]:
        return dict(zip(texts, encode(texts), strict=True)) if texts else {}


@contextmanager
def amending(model: str | Path | Bundle, device: str = "cpu") -> Iterator[Amending]:
    """A bundle as it is on disk now, while no other process amends it.

    Raises:
        BundleError: it is missing or changed, cannot be written, or its text graph has no gate.
    """
    path = model.path if isinstance(model, Bundle) else Path(model)
    Bundle.load(path, ())
    try:
        with locked(path / ".categories.lock", lambda: None):
            bundle = Bundle.load(path, QUERY_FILES)
            encoder = TextEncoder(dataclasses.replace(bundle, amendments=Amendments()), device)
            if not encoder.has_gate:
                raise BundleError(
                    f"The text graph of {path} does not say how near a text is to a known category, so names and "
                    "categories cannot be added.",
                    hint="Export the model again with: clipita export-onnx. It needs the default recipe, on towers "
                    "that did not learn.",
                )
            yield Amending(bundle, encoder)
    except OSError as error:
        raise BundleError(f"{path} cannot be written: {error.strerror}.", hint="Check its permissions.") from error


def split(path: str | Sequence[str]) -> CategoryPath:
    """A category's path from `A > B > C`, or from its names."""
    return tuple(name.strip() for name in (split_path(path, SEPARATOR) if isinstance(path, str) else path))


def _checked(text: str) -> tuple[str, ...]:
    words = words_of(text)
    if not words:
        raise UsageError(f"The text {text!r} has no word.", hint="Give what people type.")
    if len(text) > LONGEST:
        raise UsageError(f"The text {text[:20]!r}… has {len(text):,} characters; {LONGEST} are allowed.")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UsageError(f"The text {text!r} is not valid Unicode: it holds half a character.") from None
    return words
