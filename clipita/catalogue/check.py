"""A catalogue's health before it is used: what is missing, broken or odd, counted and with examples."""

from __future__ import annotations

import dataclasses
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any

from clipita.catalogue.guess import separator_of
from clipita.catalogue.images.decode import load_image
from clipita.catalogue.product import CategoryPath, CategoryTree, Product, Rejection
from clipita.catalogue.reader import CatalogueFile
from clipita.errors import ImageError

EXAMPLES = 5
_CHUNK = 256
_THREADS = 8


@dataclass(frozen=True)
class Missing:
    """How many of the readable products lack something."""

    count: int
    percent: float


@dataclass(frozen=True)
class TreeSummary:
    """The category tree that the products span.

    Attributes:
        nodes: all categories.
        nodes_by_level: level (1 is the roots) to its number of categories.
        leaves: categories with none below them.
        largest: (category, products in it or below) of the leaves with most products.
        smallest: the same for those with fewest.
    """

    nodes: int
    nodes_by_level: dict[int, int]
    leaves: int
    largest: list[tuple[str, int]]
    smallest: list[tuple[str, int]]


@dataclass(frozen=True)
class Lengths:
    """Title lengths in characters."""

    shortest: int
    median: float
    longest: int


@dataclass(frozen=True)
class CheckReport:
    """What was found.

    Attributes:
        file: the catalogue.
        rows: rows in the file.
        usable: products that can be trained on and ingested: neither rejected nor with a broken picture.
        rejected: kind of rejection to its count; broken pictures are counted apart.
        duplicates: rejected rows whose id an earlier row has.
        broken_images: pictures that cannot be read; None when they were not looked at.
        examples: the first rejections and broken pictures, `EXAMPLES` of each kind.
        missing: title, image, attributes, category -> how often.
        attribute_names: attribute to the number of products that have it, most frequent first.
        titles: None where no product has one.
        tree: categories.
        extra_columns: kept as they are, and written to the index.
        dropped_columns: raw bytes that are not mapped; JSON cannot hold them.
        remarks: what a person should look at.
    """

    file: str
    rows: int
    usable: int
    rejected: dict[str, int]
    duplicates: int
    broken_images: int | None
    examples: list[Rejection]
    missing: dict[str, Missing]
    attribute_names: dict[str, int]
    titles: Lengths | None
    tree: TreeSummary
    extra_columns: list[str]
    dropped_columns: list[str]
    remarks: list[str]

    @property
    def clean(self) -> bool:
        """Whether every row gave a usable product."""
        return not self.rejected and not self.broken_images

    def as_json(self) -> dict[str, Any]:
        """The report as JSON can hold it; object keys are strings."""
        report = dataclasses.asdict(self)
        levels = report["tree"]["nodes_by_level"]
        report["tree"]["nodes_by_level"] = {str(level): count for level, count in levels.items()}
        return report


def check_catalogue(
    catalogue: CatalogueFile,
    *,
    images: bool = True,
    on_reject: Callable[[Rejection], None] | None = None,
    on_rows: Callable[[int], None] | None = None,
) -> CheckReport:
    """Read a whole catalogue, decode its pictures, and count.

    Args:
        catalogue: an opened catalogue.
        images: decode every picture too (URLs are fetched).
        on_reject: is called for every rejection and broken picture, as it is found.
        on_rows: is called with the number of rows done so far, for a progress bar.

    Raises:
        CatalogueError: the file breaks off or is damaged half-way.
    """
    tally = _Tally(on_reject)
    with ThreadPoolExecutor(_THREADS) as threads:
        for chunk in _chunks(catalogue.numbered_products(tally.reject), _CHUNK):
            for _, product in chunk:
                tally.count(product)
            if images:
                sources = threads.map(_image_error, (product for _, product in chunk))
                for (row, product), error in zip(chunk, sources, strict=True):
                    if error is not None:
                        tally.break_image(catalogue.rejection(row, product.id, error))
            if on_rows is not None:
                on_rows(tally.rows)
    return tally.report(catalogue, images)


class _Tally:
    """Running counts; one pass, no product is kept."""

    def __init__(self, on_reject: Callable[[Rejection], None] | None) -> None:
        self._on_reject = on_reject
        self.products = 0
        self.rejected: Counter[str] = Counter()
        self.broken = 0
        self.examples: dict[str, list[Rejection]] = {}
        self.missing: Counter[str] = Counter(title=0, image=0, attributes=0, category=0)
        self.attribute_names: Counter[str] = Counter()
        self.title_lengths: Counter[int] = Counter()
        self.paths: Counter[CategoryPath] = Counter()

    @property
    def rows(self) -> int:
        return self.products + sum(self.rejected.values())

    def reject(self, rejection: Rejection) -> None:
        self.rejected[rejection.kind] += 1
        self._note(rejection.kind, rejection)

    def break_image(self, rejection: Rejection) -> None:
        self.broken += 1
        self._note("broken picture", rejection)

    def _note(self, kind: str, rejection: Rejection) -> None:
        shown = self.examples.setdefault(kind, [])
        if len(shown) < EXAMPLES:
            shown.append(rejection)
        if self._on_reject is not None:
            self._on_reject(rejection)

    def count(self, product: Product) -> None:
        self.products += 1
        self.paths[product.category_path] += 1
        self.attribute_names.update(product.attributes.keys())
        if product.title is not None:
            self.title_lengths[len(product.title)] += 1
        self.missing["title"] += product.title is None
        self.missing["image"] += product.image is None
        self.missing["attributes"] += not product.attributes
        self.missing["category"] += not product.category_path

    def report(self, catalogue: CatalogueFile, images: bool) -> CheckReport:
        tree = CategoryTree(self.paths.elements())
        return CheckReport(
            file=str(catalogue.file),
            rows=self.rows,
            usable=self.products - self.broken,
            rejected=dict(self.rejected.most_common()),
            duplicates=self.rejected["the id occurs twice"],
            broken_images=self.broken if images else None,
            examples=[rejection for shown in self.examples.values() for rejection in shown],
            missing={name: self._share(count) for name, count in self.missing.items()},
            attribute_names=dict(self.attribute_names.most_common()),
            titles=_lengths(self.title_lengths),
            tree=_summary(tree),
            extra_columns=list(catalogue.extra_columns),
            dropped_columns=list(catalogue.dropped_columns),
            remarks=list(self._remarks(catalogue, tree)),
        )

    def _share(self, count: int) -> Missing:
        return Missing(count, round(100 * count / self.products, 2) if self.products else 0.0)

    def _remarks(self, catalogue: CatalogueFile, tree: CategoryTree) -> Iterator[str]:
        if catalogue.dropped_columns:
            yield f"Not kept, as JSON cannot hold raw bytes: {', '.join(catalogue.dropped_columns)}."
        if self.products and self.missing["category"] == self.products:
            yield "No product has a category: this file cannot be trained on."
        elif len(tree) == 1:
            yield "All products are in one category: training has nothing to tell apart."
        separator = _overlooked_separator(tree)
        if separator:
            yield (
                f"Every category path has one level, and names contain {separator!r}: "
                f'perhaps --category-separator "{separator}".'
            )


def _image_error(product: Product) -> ImageError | None:
    if product.image is None:
        return None
    try:
        load_image(product.image).close()
    except ImageError as error:
        return error
    return None


def _chunks(items: Iterable[tuple[int, Product]], size: int) -> Iterator[list[tuple[int, Product]]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def _lengths(counts: Counter[int]) -> Lengths | None:
    if not counts:
        return None
    return Lengths(min(counts), float(statistics.median(counts.elements())), max(counts))


def _summary(tree: CategoryTree) -> TreeSummary:
    leaves = [
        (str(category), tree.products_by_node[category.path]) for category in tree.categories if tree.is_leaf(category)
    ]
    by_size = sorted(leaves, key=lambda leaf: (-leaf[1], leaf[0]))
    return TreeSummary(
        nodes=len(tree),
        nodes_by_level={level: len(nodes) for level, nodes in tree.by_level().items()},
        leaves=len(leaves),
        largest=by_size[:EXAMPLES],
        smallest=by_size[::-1][:EXAMPLES],
    )


def _overlooked_separator(tree: CategoryTree) -> str | None:
    """A separator that most names hold although no path has a second level."""
    if not len(tree) or set(tree.by_level()) != {1}:
        return None
    return separator_of([category.name for category in tree.categories])
