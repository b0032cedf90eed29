"""Products, categories and their tree, and rejected rows."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clipita.files import json_bytes

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
CategoryPath = tuple[str, ...]
"""The names from the root to a node. Only the path identifies a node, as two branches may have nodes of one name."""
CategoryPaths = tuple[CategoryPath, ...]
"""All paths of one product, the main one first."""


SEPARATOR = " > "
"""Between the names of a path, in texts for people and in ids of category documents."""


def path_text(path: Iterable[str]) -> str:
    """A category's path as `A > B > C`."""
    return SEPARATOR.join(path)


def split_path(path: str, separator: str) -> list[str]:
    """The names in a path that is one string, with their blanks; an empty separator splits nothing."""
    # The separator is used without its blanks, so that " > " splits "Shoes>Boots" too, unless it is all blanks.
    separator = separator.strip() or separator
    return path.split(separator) if separator else [path]


def nodes_on(paths: Iterable[CategoryPath]) -> list[CategoryPath]:
    """All nodes on paths, each once; ancestors first."""
    return list(dict.fromkeys(path[:depth] for path in paths for depth in range(1, len(path) + 1)))


def path_in(roots: Sequence[Path], location: str) -> Path:
    """A file's path: relative to the first root, in which Magento's `/m/h/a.jpg` is a file too."""
    if roots and location.startswith("/") and not any(Path(location).is_relative_to(root) for root in roots):
        below = Path(roots[0], location.lstrip("/"))
        if below.is_file():
            return below
    return Path(*roots[:1], location)


@dataclass(frozen=True, slots=True)
class ImageSource:
    """A product's image: its encoded bytes, or else a file path or URL.

    Attributes:
        data: the encoded file (JPEG, PNG, WebP …), or None.
        location: a file path or an http(s) URL, as the catalogue has it; informative only when `data` is given.
        roots: the folders that a file may lie in; a relative path starts at the first. None allows any file: for a path
            that the user of clipita wrote, never for one out of a catalogue.
        problem: why it cannot be decoded, where that is known before.
    """

    data: bytes | None = field(default=None, repr=False)
    location: str | None = None
    roots: tuple[Path, ...] | None = None
    problem: str | None = None

    @property
    def path(self) -> Path:
        """Where the file is looked for, as long as it lies there in one of the roots."""
        return path_in(self.roots or (), self.location or "")


@dataclass(frozen=True, slots=True)
class Product:
    """One item of a catalogue.

    Attributes:
        id: the shop's own identifier, unique in the catalogue and the document's `_id` in the index.
        title: what the shop calls it, or None.
        attributes: name to value, in the catalogue's order.
        category_paths: each from the root to a node that the product is assigned to, the main one first; empty where
            the catalogue gives none. None of them leads to another one.
        images: in the catalogue's order; the main one is the first.
        extra: all other columns, which are written to the index unchanged.
        unused_images: how many more the catalogue has than `images_per_product`.
    """

    id: str
    title: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    category_paths: CategoryPaths = ()
    images: tuple[ImageSource, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    unused_images: int = 0

    def located(self, *roots: Path) -> Product:
        """The product whose images, where they are files, must lie in one of these folders; see `ImageSource.roots`."""
        if not any(map(_is_file, self.images)):
            return self
        images = (dataclasses.replace(image, roots=roots) if _is_file(image) else image for image in self.images)
        return dataclasses.replace(self, images=tuple(images))

    def without_images(self, places: Collection[int]) -> Product:
        """The product without the images at these places, from 0."""
        images = (image for place, image in enumerate(self.images) if place not in places)
        return dataclasses.replace(self, images=tuple(images))

    @property
    def image(self) -> ImageSource | None:
        """The main image; None for a product without images."""
        return self.images[0] if self.images else None

    @property
    def image_cell(self) -> str | list[str] | None:
        """Where the images are, as documents hold it: one as a text, several as a list, the main one first."""
        locations = [image.location for image in self.images if image.location]
        return locations if len(locations) > 1 else next(iter(locations), None)

    @property
    def category_path(self) -> CategoryPath:
        """The main category path; empty for a product without a category."""
        return self.category_paths[0] if self.category_paths else ()

    @property
    def category_cell(self) -> list[str] | list[list[str]]:
        """The paths as files and documents hold them: one as its names, several as a list of lists of names."""
        if len(self.category_paths) < 2:
            return list(self.category_path)
        return [list(path) for path in self.category_paths]

    @property
    def category_names(self) -> list[str]:
        """The name of each node on the product's paths; ancestors first."""
        return [node[-1] for node in nodes_on(self.category_paths)]

    @property
    def attribute_texts(self) -> list[str]:
        """One string per attribute, as the text tower reads it: `colour: Black`."""
        return [f"{name}: {value}" for name, value in self.attributes.items()]


def _is_file(image: ImageSource) -> bool:
    return image.data is None and bool(image.location) and not _URL.match(image.location or "")


@dataclass(frozen=True, slots=True, order=True)
class Category:
    """A node of the shop's category tree."""

    path: CategoryPath

    @property
    def name(self) -> str:
        """The node's own name, which is its text as a query."""
        return self.path[-1]

    @property
    def level(self) -> int:
        """Depth in the tree; a root has level 1."""
        return len(self.path)

    def __str__(self) -> str:
        return path_text(self.path)


class CategoryTree:
    """All categories of a catalogue, in a stable order (sorted by path).

    Args:
        paths: category paths of products, one each; each prefix of a path is a node too. Empty paths are ignored.

    Attributes:
        products_by_node: how many products are in a node or below it.
    """

    def __init__(self, paths: Iterable[CategoryPath]) -> None:
        self._build([path] for path in paths)

    @classmethod
    def of_products(cls, products: Iterable[Iterable[CategoryPath]]) -> CategoryTree:
        """The tree of products with all paths of each; a product counts once in a node that several paths share."""
        tree = cls.__new__(cls)
        tree._build(products)
        return tree

    def _build(self, products: Iterable[Iterable[CategoryPath]]) -> None:
        self.products_by_node: Counter[CategoryPath] = Counter()
        for paths in products:
            self.products_by_node.update(nodes_on(paths))
        self.categories = [Category(path) for path in sorted(self.products_by_node)]
        self._position = {category.path: position for position, category in enumerate(self.categories)}
        self._parents = {path[:-1] for path in self.products_by_node}

    def __len__(self) -> int:
        return len(self.categories)

    def __contains__(self, path: CategoryPath) -> bool:
        return path in self._position

    def position(self, path: CategoryPath) -> int:
        """Index of the node in `categories`; KeyError where the tree has no such node."""
        return self._position[path]

    def nodes_of(self, path: CategoryPath) -> list[int]:
        """Indices of all nodes on a product's path, root first, without nodes that the tree lacks."""
        prefixes = (path[:depth] for depth in range(1, len(path) + 1))
        return [self._position[prefix] for prefix in prefixes if prefix in self._position]

    def is_leaf(self, category: Category) -> bool:
        """Whether it has no children."""
        return category.path not in self._parents

    def by_level(self) -> dict[int, list[Category]]:
        """Categories grouped by level, level 1 (the roots) first."""
        levels: dict[int, list[Category]] = {}
        for category in self.categories:
            levels.setdefault(category.level, []).append(category)
        return dict(sorted(levels.items()))


@dataclass(frozen=True, slots=True)
class Rejection:
    """One row that was rejected.

    Attributes:
        file: the catalogue file.
        row: from 1: the line of a text file (a CSV header is line 1), the data row of a Parquet file.
        id: the product's id, where it could be read.
        reason: what is wrong, as `what: details`.
    """

    file: str
    row: int
    id: str | None
    reason: str

    @property
    def kind(self) -> str:
        """The reason without its details, for counting."""
        return self.reason.partition(":")[0]

    def to_json_line(self) -> bytes:
        """The rejection as one line of a JSONL file, newline included."""
        return json_bytes(dataclasses.asdict(self)) + b"\n"
