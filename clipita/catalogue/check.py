"""Checks a catalogue: counts what is missing, broken or odd, with examples."""

from __future__ import annotations

import dataclasses
import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any

from clipita.catalogue.attribute_names import MAX_MAPPED, AttributeCount
from clipita.catalogue.column_types import MAX_COLUMNS, MAX_INNER, unsearched
from clipita.catalogue.fields import clashing_column
from clipita.catalogue.guessing.paths import separator_of
from clipita.catalogue.ids import IdTable
from clipita.catalogue.images.decode import load_image
from clipita.catalogue.product import CategoryPaths, CategoryTree, Product, Rejection
from clipita.catalogue.reader import CatalogueFile
from clipita.catalogue.taxonomy import read_taxonomy
from clipita.catalogue.variants.groups import GROUP_FIELD
from clipita.catalogue.variants.shared import Shared, shared_by
from clipita.errors import ImageError

EXAMPLES = 5
_CHUNK = 256
_THREADS = 8


@dataclass(frozen=True)
class Missing:
    """How many readable products lack a part."""

    count: int
    percent: float


@dataclass(frozen=True)
class TreeSummary:
    """Numbers of categories (level 1 is the roots), and the leaves with most and fewest products."""

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
    """The result of a check.

    Attributes:
        usable: products that are neither rejected nor have broken images alone.
        rejected: kind of rejection to its count; broken images are counted separately.
        duplicates: rejected rows with the id of an earlier row.
        broken_images: products none of whose images can be used; None if images were not checked.
        image_troubles: what is wrong with these to their count, most frequent first.
        image_warnings: images that cannot be used of products that have others; None if images were not checked.
        examples: the first rejections, broken images and image warnings, `EXAMPLES` of each kind.
        missing: title, image, attributes, category -> how many products lack it.
        attribute_names: attribute to its number of products, most frequent first; `MOST_NAMES` of them.
        products_by_paths: number of category paths to the products that have as many, ascending.
        column_types: of the extra columns with values: number, text, boolean or object.
        remarks: what a person should check.
        joined: rows that are variants or images of another row's product.
        groups: how many groups the products are in; None where the catalogue has none.
        shared: what it shares with the other files.
        products_by_images: number of images in use to the products that have as many, ascending.
        cut_images: products with more images than `images_per_product`.
    """

    file: str
    rows: int
    usable: int
    rejected: dict[str, int]
    duplicates: int
    broken_images: int | None
    image_troubles: dict[str, int]
    examples: list[Rejection]
    missing: dict[str, Missing]
    attribute_names: dict[str, int]
    titles: Lengths | None
    tree: TreeSummary
    products_by_paths: dict[int, int]
    extra_columns: list[str]
    column_types: dict[str, str]
    dropped_columns: list[str]
    remarks: list[str]
    joined: int = 0
    groups: int | None = None
    shared: list[Shared] = dataclasses.field(default_factory=list)
    image_warnings: int | None = None
    products_by_images: dict[int, int] = dataclasses.field(default_factory=dict)
    cut_images: int = 0

    @property
    def clean(self) -> bool:
        """Whether every row is a usable product."""
        return not self.rejected and not self.broken_images

    def as_json(self) -> dict[str, Any]:
        """The report as JSON values; object keys are strings."""
        report = dataclasses.asdict(self)
        report["tree"]["nodes_by_level"] = {str(level): n for level, n in self.tree.nodes_by_level.items()}
        for name in ("products_by_paths", "products_by_images"):
            report[name] = {str(number): n for number, n in report[name].items()}
        report["shared"] = [
            part | {"first": str(part["first"]), "second": str(part["second"])} for part in report["shared"]
        ]
        return report


def check_catalogue(
    catalogue: CatalogueFile,
    *,
    images: bool = True,
    on_reject: Callable[[Rejection], None] | None = None,
    on_rows: Callable[[int], None] | None = None,
    others: Sequence[CatalogueFile] = (),
) -> CheckReport:
    """Read a whole catalogue, decode its images (URLs are fetched), and count.

    `on_reject` is called with every rejection and broken image, `on_rows` with the number of rows done so far. `others`
    are files that are to share no product with it.

    Raises:
        CatalogueError: the file is truncated or damaged.
    """
    tally = _Tally(on_reject)
    with ThreadPoolExecutor(_THREADS) as threads:
        products = catalogue.numbered_products(tally.reject)
        while chunk := list(islice(products, _CHUNK)):
            for _, product in chunk:
                tally.count(product)
            if images:
                errors = threads.map(_image_errors, (product for _, product in chunk))
                for (row, product), found in zip(chunk, errors, strict=True):
                    tally.count_images(product, [catalogue.rejection(row, product.id, error) for error in found])
            if on_rows is not None:
                on_rows(tally.rows)
    return tally.report(catalogue, images, shared_by([*others, catalogue]) if others else [])


class _Tally:
    """Running counts of one pass; no product is kept."""

    def __init__(self, on_reject: Callable[[Rejection], None] | None) -> None:
        self._on_reject = on_reject
        self.products = 0
        self.rejected: Counter[str] = Counter()
        self.broken: Counter[str] = Counter()
        self.image_warnings = 0
        self.images: Counter[int] = Counter()
        self.cut_images = 0
        self.examples: dict[str, list[Rejection]] = {}
        self.missing: Counter[str] = Counter(title=0, image=0, attributes=0, category=0)
        self.attributes = AttributeCount()
        self.title_lengths: Counter[int] = Counter()
        self.paths: Counter[CategoryPaths] = Counter()
        self.groups = IdTable()

    @property
    def rows(self) -> int:
        return self.products + sum(self.rejected.values())

    def reject(self, rejection: Rejection) -> None:
        self.rejected[rejection.kind] += 1
        self.note(rejection.kind, rejection)

    def note(self, kind: str, rejection: Rejection) -> None:
        self._show(kind, rejection)
        if self._on_reject is not None:
            self._on_reject(rejection)

    def count_images(self, product: Product, broken: Sequence[Rejection]) -> None:
        """Count a product's images that cannot be used; it is rejected if it has no other."""
        if broken and len(broken) == len(product.images):
            self.broken[broken[0].kind] += 1
            self.note(broken[0].kind, broken[0])
            return
        self.image_warnings += len(broken)
        for rejection in broken:
            self._show(rejection.kind, rejection)

    def _show(self, kind: str, rejection: Rejection) -> None:
        shown = self.examples.setdefault(kind, [])
        if len(shown) < EXAMPLES:
            shown.append(rejection)

    def count(self, product: Product) -> None:
        self.products += 1
        if (group := product.extra.get(GROUP_FIELD)) is not None:
            self.groups.setdefault(str(group), self.products)
        self.paths[product.category_paths] += 1
        self.attributes.add(product.attributes)
        if product.title is not None:
            self.title_lengths[len(product.title)] += 1
        self.missing["title"] += product.title is None
        self.missing["image"] += not product.images
        self.images[len(product.images)] += 1
        self.cut_images += product.unused_images > 0
        self.missing["attributes"] += not product.attributes
        self.missing["category"] += not product.category_paths

    def report(self, catalogue: CatalogueFile, images: bool, shared: list[Shared]) -> CheckReport:
        tree = CategoryTree.of_products(self.paths.elements())
        joined = (catalogue.rows or self.rows) - self.rows if catalogue.joins_rows else 0
        by_paths: Counter[int] = Counter()
        for paths, products in self.paths.items():
            by_paths[len(paths)] += products
        return CheckReport(
            file=str(catalogue.file),
            rows=self.rows + joined,
            usable=self.products - self.broken.total(),
            rejected=dict(self.rejected.most_common()),
            duplicates=self.rejected["the id occurs twice"],
            broken_images=self.broken.total() if images else None,
            image_troubles=dict(self.broken.most_common()),
            examples=[rejection for shown in self.examples.values() for rejection in shown],
            missing={name: self._share(count) for name, count in self.missing.items()},
            attribute_names=dict(self.attributes.counts.most_common()),
            titles=self._lengths(),
            tree=_summary(tree),
            products_by_paths=dict(sorted(by_paths.items())),
            extra_columns=list(catalogue.extra_columns),
            column_types={name: column.kind for name, column in catalogue.types.items()},
            dropped_columns=list(catalogue.dropped_columns),
            remarks=[*self._warnings(catalogue, tree), *map(str, shared)],
            joined=joined,
            groups=len(self.groups) if catalogue.fields.group else None,
            shared=shared,
            image_warnings=self.image_warnings if images else None,
            products_by_images=dict(sorted(self.images.items())),
            cut_images=self.cut_images,
        )

    def _lengths(self) -> Lengths | None:
        counts = self.title_lengths
        return Lengths(min(counts), float(statistics.median(counts.elements())), max(counts)) if counts else None

    def _share(self, count: int) -> Missing:
        return Missing(count, round(100 * count / self.products, 2) if self.products else 0.0)

    def _warnings(self, catalogue: CatalogueFile, tree: CategoryTree) -> Iterator[str]:
        if catalogue.dropped_columns:
            yield f"Columns of raw bytes are not kept: {', '.join(catalogue.dropped_columns)}."
        if (clashing := clashing_column(catalogue.extra_columns)) is not None:
            yield (
                f"An index is not made of this catalogue: its column {clashing!r} has a name that clipita writes "
                "itself. Rename it, or map it under [fields]."
            )
        if catalogue.renamed:
            others = ", ".join(f"{name} is {new}" for name, new in catalogue.renamed.items())
            yield f"Names of columns that a field cannot have: in an index, {others}."
        names = self.attributes.counts.most_common()
        if len(names) > MAX_MAPPED:
            number = f"{len(names):,}" if self.attributes.complete else f"More than {len(names):,}"
            yield (
                f"{number} names of attributes: in an index, the {MAX_MAPPED:,} most frequent have a field each. The "
                f"others, which at most {names[MAX_MAPPED][1]:,} products have, share one: a search can filter by them "
                "and count their values, but not sort by them."
            )
        if left := unsearched(catalogue.types):
            bulky = [name for name in left if catalogue.types[name].names > MAX_INNER]
            for name in bulky:
                yield (
                    f"{name} holds more than {MAX_INNER} names, so an index only keeps it. As attributes, its values "
                    f"can be filters and facets: --attribute-field {name}."
                )
            if more := len(left) - len(bulky):
                yield (
                    f"Of {len(catalogue.types):,} other columns an index searches those that most rows have, for up to "
                    f"{MAX_COLUMNS:,} fields; it only keeps {more:,}."
                )
        for name, column in catalogue.types.items():
            if column.why_text:
                yield f"{name} is of the type text: {column.why_text}. A search offers no range and no sort of it."
            if column.others:
                yield f"{name} is of the type {column.kind}: values that are not are left out, {column.others} in all."
        if self.cut_images:
            used = catalogue.fields.images_per_product
            yield f"Of {self.cut_images:,} products only the first {used} images are used (images_per_product)."
        if self.image_warnings:
            yield f"{self.image_warnings:,} images cannot be used; their products have others."
        if self.products and self.missing["category"] == self.products:
            yield "No product has a category: training needs categories."
        elif len(tree) == 1:
            yield "All products are in one category: training needs at least two."
        yield from _taxonomy_warnings(catalogue, tree)
        separator = separator_of([category.name for category in tree.categories])
        if separator and set(tree.by_level()) == {1}:
            yield (
                f"Every category path has one level, and most names contain {separator!r}: "
                f'try --category-separator "{separator}".'
            )


def _taxonomy_warnings(catalogue: CatalogueFile, tree: CategoryTree) -> Iterator[str]:
    """Numbers that are names of categories, and names that the taxonomy does not have."""
    roots = [category.name for category in tree.categories if category.level == 1]
    numbers = [name for name in roots if name.isdigit()]
    if numbers:
        yield (
            f"Categories are called by numbers, such as {numbers[0]}: name the file of their taxonomy, or another "
            "column of categories."
        )
    if catalogue.fields.taxonomy is not None:
        known = {path[0] for path in read_taxonomy(catalogue.fields.taxonomy).values()}
        others = [name for name in roots if name not in known]
        if others and len(others) < len(roots):
            yield (
                f"The taxonomy does not have the root {others[0]!r}, and others are its own: it may be in another "
                "language than the catalogue."
            )


def _image_errors(product: Product) -> list[ImageError]:
    errors = []
    for image in product.images:
        try:
            load_image(image).close()
        except ImageError as error:
            errors.append(error)
    return errors


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
