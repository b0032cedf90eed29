"""From a catalogue file to what training reads: texts, paths, images as rows of a store, held-out categories."""

from __future__ import annotations

import difflib
import random
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from clipita.catalogue.images.decode import MAX_BYTES, opened_image
from clipita.catalogue.images.files import read_file
from clipita.catalogue.product import CategoryPaths, CategoryTree, ImageSource, Product, Rejection
from clipita.catalogue.reader import CatalogueFile
from clipita.errors import ImageError, TrainingError
from clipita.runtime.preprocess import ImageSpec, to_pixels
from clipita.training.row_store import RowStore, content_key

CHUNK = 256
IMAGE_BATCH = 8
"""Small batches stay in a CPU's cache: 8 images at once run about 1.5 times as fast as 64."""
Progress = Callable[[str, int, int | None], None]
"""Called with a stage's name, how much of it is done, and its total when that is known."""
EncodeImages = Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.generic]]
"""uint8 [B, H, W, 3] -> rows of the store, [B, width]."""


@dataclass
class Examples:
    """A split of the catalogue, without its images; one entry per product, with the keys of all its images."""

    titles: list[str | None] = field(default_factory=list)
    attributes: list[list[str]] = field(default_factory=list)
    paths: list[CategoryPaths] = field(default_factory=list)
    image_keys: list[tuple[bytes, ...]] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.paths)

    def add(self, product: Product, image_keys: tuple[bytes, ...]) -> None:
        """Append one product."""
        self.titles.append(product.title)
        self.attributes.append(product.attribute_texts)
        self.paths.append(product.category_paths)
        self.image_keys.append(image_keys)


def read_examples(
    catalogue: CatalogueFile,
    images: RowStore | None,
    spec: ImageSpec,
    encode: EncodeImages,
    progress: Progress,
) -> Examples:
    """The products of a catalogue that have a category; rows that cannot be used are in `rejected`.

    Images that the store lacks are decoded, encoded and added to it; `images` is None when the model reads none. A
    product is rejected only where none of its images can be read.

    Raises:
        CatalogueError: the file cannot be read as a whole.
        TrainingError: no product in it can be used.
    """
    examples = Examples()
    products = catalogue.numbered_products(examples.rejected.append)
    done = 0
    with ThreadPoolExecutor(2) as pool:
        while chunk := list(islice(products, CHUNK)):
            usable = [
                (row, product, () if images is None else tuple(map(_image_key, product.images)))
                for row, product in chunk
                if product.category_paths
            ]
            broken: dict[bytes, ImageError] = {}
            if images is not None:
                missing = iter(
                    {
                        key: image
                        for _, product, keys in usable
                        for key, image in zip(keys, product.images, strict=True)
                        if key not in images
                    }.items()
                )
                # As many at once as there are products, however many images each of them has.
                while part := dict(islice(missing, CHUNK)):
                    broken |= _encode_missing(part, images, spec, encode, pool)
            for row, product, keys in usable:
                readable = tuple(key for key in keys if key not in broken)
                if keys and not readable:
                    examples.rejected.append(catalogue.rejection(row, product.id, broken[keys[0]]))
                else:
                    examples.add(product, readable)
            done += len(chunk)
            progress(f"Reading {catalogue.file.name}", done, catalogue.rows)
    if not examples.paths:
        raise TrainingError(
            f"{catalogue.file} has no product to train on: {len(examples.rejected)} rows were rejected, "
            "the others have no category.",
            hint=f"Look into it with: clipita catalogue check {catalogue.file}",
        )
    return examples


def _encode_missing(
    missing: Mapping[bytes, ImageSource],
    images: RowStore,
    spec: ImageSpec,
    encode: EncodeImages,
    pool: ThreadPoolExecutor,
) -> dict[bytes, ImageError]:
    """Decode and encode images; returns the errors of those that cannot be read."""

    def decode(source: ImageSource) -> npt.NDArray[np.uint8] | ImageError:
        try:
            with opened_image(source) as image:
                return to_pixels(image, spec)
        except ImageError as error:
            return error

    broken: dict[bytes, ImageError] = {}
    keys, pixels = [], []
    for key, decoded in zip(missing, pool.map(decode, missing.values()), strict=True):
        if isinstance(decoded, ImageError):
            broken[key] = decoded
        else:
            keys.append(key)
            pixels.append(decoded)
    for start in range(0, len(keys), IMAGE_BATCH):
        batch = slice(start, start + IMAGE_BATCH)
        images.append(keys[batch], np.asarray(encode(np.stack(pixels[batch]))))
    return broken


def _image_key(source: ImageSource) -> bytes:
    if source.data is not None:
        return content_key(source.data)
    location = source.location or ""
    if "://" in location:
        return content_key(location.encode())
    try:
        return content_key(read_file(source, MAX_BYTES))
    except ImageError:
        return content_key(b"missing:" + location.encode())  # decoding reports it


def held_out_names(wanted: int | Path | None, tree: CategoryTree, seed: int) -> frozenset[str]:
    """Names of the categories to leave out.

    Wanted are a number of leaves to draw, or the categories of a text file: one per line, by name or path
    (`A > B > C`); empty lines and lines that start with # are skipped.

    Raises:
        TrainingError: the file cannot be read or names an unknown category, or the tree has too few leaves.
    """
    if wanted is None:
        return frozenset()
    if isinstance(wanted, Path):
        return _names_in(wanted, tree)
    inner = {name for category in tree.categories for name in category.path[:-1]}
    leaves = sorted({category.name for category in tree.categories if tree.is_leaf(category)} - inner)
    if not 0 < wanted < len(leaves):
        raise TrainingError(
            f"{wanted} categories cannot be held out: the training catalogue has {len(leaves)} leaves.",
            hint="At least one must go and one must stay.",
        )
    return frozenset(random.Random(seed).sample(leaves, wanted))


def without_categories(examples: Examples, names: frozenset[str], wanted: object) -> Examples:
    """The products that have none of the names on their paths.

    Raises:
        TrainingError: no product is left.
    """
    kept = [row for row, paths in enumerate(examples.paths) if not names.intersection(*paths)]
    if not kept:
        raise TrainingError(f"No product is left when the categories of {wanted} are held out.")
    return Examples(
        [examples.titles[row] for row in kept],
        [examples.attributes[row] for row in kept],
        [examples.paths[row] for row in kept],
        [examples.image_keys[row] for row in kept],
        examples.rejected,
    )


def _names_in(file: Path, tree: CategoryTree) -> frozenset[str]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise TrainingError(f"The list of held-out categories {file} cannot be read: {error}.") from error
    known = {category.name for category in tree.categories}
    names = set()
    for number, line in enumerate(lines, start=1):
        name = line.rpartition(">")[2].strip()
        if not name or line.lstrip().startswith("#"):
            continue
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            raise TrainingError(
                f"{file}, line {number}: the training catalogue has no category {name!r}.",
                hint=f"Did you mean {near[0]}?" if near else "`clipita catalogue check` lists the tree.",
            )
        names.add(name)
    if not names:
        raise TrainingError(f"{file} names no category.", hint="Write one per line.")
    return frozenset(names)
