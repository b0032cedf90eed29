"""What `clipita categories` does, from Python: more names for categories, and categories that training did not see.

Both amend a bundle (`clipita.runtime.amendments`): nothing is trained, and the products in the index stay as they are.
Searches and servers read the bundle when they start.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from clipita.config import FieldsConfig, OpenSearchConfig
from clipita.errors import UsageError

if TYPE_CHECKING:
    from opensearchpy import OpenSearch

    from clipita.catalogue.product import CategoryPath, Product
    from clipita.catalogue.reader import CatalogueFile
    from clipita.opensearch.index.additions import Additions
    from clipita.runtime import Bundle
    from clipita.runtime.amending import Amending
    from clipita.runtime.amendments import Amendments, NewCategory

Warn = Callable[[str], None]
COLUMNS = ("category", "text", "language")
BATCH = 64


def name_categories(
    names: Iterable[tuple[str, str, str]], *, model: str | Path | Bundle = "model", device: str = "cpu"
) -> int:
    """Give categories more names, such as synonyms and translations; returns how many are new.

    A query near one of them is answered as that category, and its words are searched with the category's own name in
    its place too.

    Example::

        clipita.name_categories([("Sunglasses", "Sonnenbrillen", "de"), ("Accessories > Sunglasses", "shades", "")])

    Args:
        names: category (its name, or its path `A > B > C`), text, and the text's language, which is for people and may
            be empty. `read_names` reads them from a file.
        model: the bundle, or its folder.
        device: where the texts are encoded.

    Raises:
        UsageError: an unknown category, or a text that is empty, too long, or stands for another category.
        BundleError: the bundle is missing or changed, or its text graph has no gate.
    """
    from clipita.runtime.amending import amending

    with amending(model, device) as work:
        return work.name(names)


def read_names(file: str | Path) -> list[tuple[str, str, str]]:
    """Names for `name_categories` from a CSV file with the columns category, text and, if there is one, language.

    Raises:
        UsageError: the file cannot be read, lacks a column, or a row has no category or text.
    """
    try:
        with Path(file).open(encoding="utf-8-sig", newline="") as stream:
            rows = csv.DictReader(stream)
            lacking = [name for name in COLUMNS[:2] if name not in (rows.fieldnames or ())]
            found = [(rows.line_num, [(row.get(name) or "").strip() for name in COLUMNS]) for row in rows]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{file} cannot be read: {error}.", hint="Give a CSV file in UTF-8.") from error
    if lacking:
        raise UsageError(f"{file} has no column {lacking[0]!r}.", hint=f"Its first line must be: {','.join(COLUMNS)}")
    for line, (category, text, _) in found:
        if not category or not text:
            raise UsageError(f"{file}, line {line}: the {'text' if category else 'category'} is empty.")
    return [(category, text, language) for _, (category, text, language) in found]


def names_of_synonyms(file: str | Path, *, model: str | Path | Bundle = "model") -> list[tuple[str, str, str]]:
    """Names for `name_categories` from synonyms in Solr's format: the phrases of a line that stand for a category.

    A phrase of the line is a category's name; all others become names of it, except those that are, or were given as,
    names of other categories. Of `tee => t-shirt` the left side stands for the right. Lines without a category, and
    lines with several, are passed over.

    Raises:
        UsageError: the file cannot be read, or lines of it are no rules.
        BundleError: the bundle is missing or changed, or its text graph has no gate.
    """
    from clipita.catalogue.product import path_text
    from clipita.runtime.amending import amending
    from clipita.runtime.amendments import words_of
    from clipita.word_files import read_synonyms

    rules = read_synonyms(file)
    found: dict[tuple[str, ...], tuple[str, str, str]] = {}
    with amending(model) as work:
        given = {words_of(name.text): name.category for name in work.before.names}
        for rule in rules:
            categories = {path for text in rule.stand_for or rule.phrases if (path := work.named(text))}
            if len(categories) != 1:
                continue
            (path,) = categories
            for text in rule.phrases:
                if words_of(text) and work.named(text) is None and given.get(words_of(text), path)[-1] == path[-1]:
                    found.setdefault(words_of(text), (path_text(path), text, ""))
    return list(found.values())


def list_categories(model: str | Path | Bundle = "model") -> Amendments:
    """The names and new categories that a bundle was amended by, as its `names` and `new`.

    Raises:
        BundleError: the bundle is missing or changed.
    """
    from clipita.runtime import Bundle

    return Bundle.load(model.path if isinstance(model, Bundle) else Path(model), ()).amendments


def add_category(
    path: str | Sequence[str],
    like: Sequence[str],
    *,
    cluster: str | OpenSearch | None = None,
    index: str = "products",
    model: str | Path | Bundle = "model",
    opensearch: OpenSearchConfig | None = None,
    device: str = "cpu",
    warn: Warn | None = None,
) -> NewCategory:
    """Add a category that training did not see, by products of the index that belong there.

    Its vector comes from its name and the products' stored vectors; known categories that would be wrong about these
    products make room. The bundle and the category vectors beside the index are amended.

    Example::

        clipita.add_category("Shoes > Clogs", like=["3", "17", "29"], index="products", model="model/")

    Args:
        path: of the category; what stands above it must be there.
        like: ids of products in the index; from five on the result is reliable.
        cluster: URL, or a client of opensearch-py, or None for what `opensearch` says (the local node by default).
        index: the alias.
        model: the bundle, or its folder.
        opensearch: user, certificates, time limit.
        device: where the name is encoded.
        warn: called with waits, in sentences.

    Raises:
        UsageError: the category is known already, its parent is not there, or a product is not in the index.
        BundleError: the bundle is missing or changed, or its text graph has no gate.
        FingerprintError: the index holds vectors of another model.
        ClusterError: the cluster refuses, or stays busy or away for too long.
    """
    from clipita.runtime.amending import amending, split

    with amending(model, device) as work, _beside(work, cluster, index, opensearch, warn) as shop:
        ids = list(dict.fromkeys(str(one) for one in like))
        return shop.add({split(path): (ids, shop.vectors(ids))})[0]


def add_categories(
    examples: str | Path | CatalogueFile,
    path: str | Sequence[str] | None = None,
    *,
    cluster: str | OpenSearch | None = None,
    index: str = "products",
    model: str | Path | Bundle = "model",
    opensearch: OpenSearchConfig | None = None,
    fields: FieldsConfig | None = None,
    image_root: Path | None = None,
    device: str = "cpu",
    warn: Warn | None = None,
) -> list[NewCategory]:
    """Add categories that training did not see, by examples in a catalogue file, which need not be in the index.

    Example::

        clipita.add_categories("clogs.csv", index="products", model="model/")

    Args:
        examples: products with a category path, read as `clipita.ingest` does.
        path: the only category to add; None: the category of every product whose category the model does not know.
        cluster: as of `add_category`, as are all that are not listed here.
        index: the alias.
        model: the bundle, or its folder.
        opensearch: user, certificates, time limit.
        fields: which column is what.
        image_root: folder of the image files; without it, the folder of the file.
        device: where names and products are encoded.
        warn: called with waits, in sentences.

    Raises:
        CatalogueError, ProductError: the file, or an example in it, cannot be used.
        UsageError: no example has a new category; and the errors of `add_category`.
    """
    from clipita.catalogue.product import path_text
    from clipita.catalogue.reader import CatalogueFile
    from clipita.runtime import Bundle, ProductEncoder
    from clipita.runtime.amending import amending, split

    if not isinstance(examples, CatalogueFile):
        examples = CatalogueFile(Path(examples), fields, image_root)
    only = None if path is None else split(path)
    with amending(model, device) as work, _beside(work, cluster, index, opensearch, warn) as shop:
        known = set(work.known) if only is None else set()

        def wanted(product: Product) -> list[CategoryPath]:
            return [place for place in product.category_paths if place not in known and only in (None, place)]

        rows = [product for product in examples.products() if wanted(product)]
        if not rows:
            raise UsageError(
                f"{examples.file} has no product of {'a new category' if only is None else path_text(only)}.",
                hint="Its category column must hold the new category's whole path.",
            )
        encoder = ProductEncoder(Bundle.load(work.bundle.path), device)
        found: dict[CategoryPath, tuple[list[str], list[Any]]] = {}
        for start in range(0, len(rows), BATCH):
            part = rows[start : start + BATCH]
            for product, vector in zip(part, encoder.encode([encoder.prepare(one) for one in part]), strict=True):
                for place in wanted(product):
                    ids, vectors = found.setdefault(place, ([], []))
                    ids.append(product.id)
                    vectors.append(vector)
        return shop.add({place: (ids, np.stack(vectors)) for place, (ids, vectors) in found.items()})


def remove_category(
    text: str,
    *,
    cluster: str | OpenSearch | None = None,
    index: str = "products",
    model: str | Path | Bundle = "model",
    opensearch: OpenSearchConfig | None = None,
    device: str = "cpu",
    warn: Warn | None = None,
) -> str:
    """Remove a name that was added, or a category that was added (by name or path) with all its names.

    The cluster is asked only for a category. Returns what was removed, in a sentence.

    Raises:
        UsageError: nothing of this name was added, or another added category stands below it.
        BundleError, FingerprintError, ClusterError: as of `add_category`.
    """
    from clipita.catalogue.product import path_text
    from clipita.runtime.amending import amending
    from clipita.runtime.amendments import words_of

    with amending(model, device) as work:
        before = work.before
        kept = [name for name in before.names if words_of(name.text) != words_of(text)]
        if len(kept) < len(before.names):
            work.write(kept, before.new, before.moved)
            return f"{text!r} names no category any more."
        path = work.find(text) if text.strip() else ()
        if all(one.path != path for one in before.new):
            raise UsageError(
                f"{text!r} was not added: it is neither a name nor a category that the bundle was amended by.",
                hint="See what was added with: clipita categories list",
            )
        with _beside(work, cluster, index, opensearch, warn) as shop:
            gone = shop.remove(path)
        stays = "" if gone else "; products are labelled with it, so its page stays"
        return f"{path_text(path)} is removed{stays}."


@contextmanager
def _beside(
    work: Amending,
    cluster: str | OpenSearch | None,
    index: str,
    opensearch: OpenSearchConfig | None,
    warn: Warn | None,
) -> Iterator[Additions]:
    from clipita.opensearch.cluster.connection import connect
    from clipita.opensearch.cluster.retry import Backoff
    from clipita.opensearch.index.additions import Additions

    client = connect(opensearch, cluster) if isinstance(cluster, str | None) else cluster
    try:
        yield Additions(work, client, index, Backoff(warn))
    finally:
        if client is not cluster:
            client.close()
