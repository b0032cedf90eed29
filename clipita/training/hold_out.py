"""Categories that training must not see, so that what it makes of new ones can be measured."""

from __future__ import annotations

import difflib
import random
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from clipita.catalogue.product import CategoryTree
from clipita.errors import TrainingError
from clipita.training.examples import Examples


def held_out_names(wanted: int | Path | None, tree: CategoryTree, seed: int) -> frozenset[str]:
    """Names of the categories to leave out.

    Args:
        wanted: how many leaves to draw; or a text file with a category a line, by its name or its path (`A > B > C`),
            empty lines and lines that start with # apart; or None for none.
        tree: of the training split.
        seed: of the draw.

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


def without_categories(examples: Examples, names: Collection[str], wanted: object) -> Examples:
    """The products on whose path none of the names stands.

    Raises:
        TrainingError: no product is left.
    """
    if not names:
        return examples
    kept = [row for row, path in enumerate(examples.paths) if not set(path).intersection(names)]
    if not kept:
        raise TrainingError(f"No product is left when the categories of {wanted} are held out.")
    return replace(
        examples,
        titles=[examples.titles[row] for row in kept],
        attributes=[examples.attributes[row] for row in kept],
        paths=[examples.paths[row] for row in kept],
        image_keys=[examples.image_keys[row] for row in kept],
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
        raise TrainingError(f"{file} names no category.", hint="Write one a line.")
    return frozenset(names)
