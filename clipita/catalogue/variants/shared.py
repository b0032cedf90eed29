"""What catalogue files share that must not: products to train on, to stop by and to measure on are to be others."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from clipita.catalogue.ids import IdTable
from clipita.catalogue.product import Product
from clipita.catalogue.reader import CatalogueFile
from clipita.catalogue.variants.groups import GROUP_FIELD

EXAMPLES = 3
PLACEHOLDER = 100
"""An image that so many products of a file have is a placeholder, and says nothing about which product it is."""


@dataclass(frozen=True)
class Shared:
    """What two files share.

    Attributes:
        what: id, group or image.
        first: the file that has it too.
        second: the file whose products are counted.
        count: products of the second file with an id, group or image of the first.
        examples: the first of these values.
    """

    what: str
    first: Path
    second: Path
    count: int
    examples: tuple[str, ...]

    def __str__(self) -> str:
        return (
            f"{self.second} and {self.first} share {self.what}s ({', '.join(self.examples)}; products of {self.second} "
            f"with them: {self.count:,}), and figures on these products are too good. `clipita catalogue split "
            "--group-field NAME` of the whole catalogue keeps rows of one product in one file."
        )


def shared_by(files: Sequence[CatalogueFile]) -> list[Shared]:
    """What any two of the files share: ids, groups, and images by their location or bytes; images are not opened.

    Raises:
        CatalogueError: a file cannot be read as a whole.
    """
    tables = {what: IdTable() for what in ("id", "group", "image")}
    counts: Counter[tuple[str, int, int]] = Counter()
    examples: dict[tuple[str, int, int], list[str]] = {}
    for place, file in enumerate(files):
        uses: Counter[str] = Counter()
        found: list[tuple[int, str, int, str, str]] = []
        for number, product in enumerate(file.products(lambda _: None)):
            for what, key, shown in _marks(product):
                first = tables[what].setdefault(key, place)
                if first != place:
                    uses[key] += what == "image"
                    found.append((number, what, first, key, shown))
        last: dict[tuple[str, int, int], int] = {}
        for number, what, first, key, shown in found:
            if uses[key] < PLACEHOLDER:
                pair = (what, first, place)
                # A product that shares two images counts once.
                counts[pair] += last.get(pair) != number
                last[pair] = number
                known = examples.setdefault(pair, [])
                if shown not in known and len(known) < EXAMPLES:
                    known.append(shown)
    return [
        Shared(what, files[first].file, files[second].file, count, tuple(examples[what, first, second]))
        for (what, first, second), count in counts.items()
    ]


def _marks(product: Product) -> Iterator[tuple[str, str, str]]:
    """The id, group and images of a product: what it is, a key to compare, and a text to show."""
    yield "id", product.id, product.id
    group = product.extra.get(GROUP_FIELD)
    # A product by itself has its id as the group.
    if isinstance(group, str) and group != product.id:
        yield "group", group, group
    for image in product.images:
        if image.data is not None:
            key = hashlib.blake2b(image.data, digest_size=16).hexdigest()
            yield "image", key, image.location or f"of {product.id}"
        elif image.location:
            yield "image", image.location if image.roots is None else str(image.path), image.location
