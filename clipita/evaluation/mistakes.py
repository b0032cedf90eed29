"""Kinds of wrong hits: in another tree, or how far off in the same one.

Reference: Hendriksen et al., Extending CLIP for Category-to-image Retrieval in E-commerce, ECIR 2022, section 6.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from clipita.catalogue.product import CategoryPath, CategoryPaths
from clipita.evaluation.measures import DEPTH
from clipita.evaluation.protocol import SystemResult, TreeProtocol

CONFUSIONS = 30
"""Pairs of categories that are listed."""


WrongHit = tuple[CategoryPath, CategoryPath]
"""Of a hit that is not relevant: the query's node and the hit's path that are nearest to each other, () for none."""


@dataclass
class Errors:
    """A system's wrong hits, counted.

    Attributes:
        hits: the first min(10, relevant products) of each query, or fewer where fewer were found.
        other_tree: wrong ones below another root.
        no_category: wrong ones without any category.
        levels: wrong ones of the same tree, by how many levels deeper they are than the category asked for.
        same_path: wrong ones of the same tree whose category is above or below the one asked for.
        confusions: number of wrong hits by (asked, got).
    """

    hits: int = 0
    right: int = 0
    other_tree: int = 0
    no_category: int = 0
    levels: Counter[int] = field(default_factory=Counter)
    same_path: int = 0
    confusions: Counter[WrongHit] = field(default_factory=Counter)

    @property
    def wrong(self) -> int:
        """Hits that are not relevant."""
        return self.hits - self.right

    @property
    def shallower(self) -> int:
        """Wrong hits of the same tree nearer to the root than the category asked for."""
        return sum(count for levels, count in self.levels.items() if levels < 0)

    @property
    def same_level(self) -> int:
        """Wrong hits of the same tree in a sibling or cousin of the category asked for."""
        return self.levels[0]

    @property
    def deeper(self) -> int:
        """Wrong hits of the same tree farther from the root."""
        return sum(count for levels, count in self.levels.items() if levels > 0)

    def as_json(self) -> dict[str, Any]:
        """Counts, shares of the wrong hits in percent, and the pairs that are confused most."""
        return {
            "hits": self.hits,
            "wrong": self.wrong,
            "share of wrong hits": {
                "other tree": share(self.other_tree, self.wrong),
                "same tree, shallower": share(self.shallower, self.wrong),
                "same tree, same level": share(self.same_level, self.wrong),
                "same tree, deeper": share(self.deeper, self.wrong),
                "no category": share(self.no_category, self.wrong),
                "above or below the category asked for": share(self.same_path, self.wrong),
            },
            "levels": {f"{levels:+d}": count for levels, count in sorted(self.levels.items())},
            "share of the shallower exactly one level up": share(self.levels[-1], self.shallower),
            "share of the deeper exactly one level down": share(self.levels[1], self.deeper),
            "confusions": [
                {"asked": list(asked), "got": list(got), "hits": count}
                for (asked, got), count in self.confusions.most_common(CONFUSIONS)
            ],
        }


def count_errors(protocol: TreeProtocol, result: SystemResult) -> Errors:
    """Count a system's wrong hits by where their categories are in the tree."""
    errors = Errors()
    for hit in itertools.chain.from_iterable(looked_at(protocol, result)):
        errors.hits += 1
        if hit is None:
            errors.right += 1
            continue
        errors.confusions[hit] += 1
        asked, got = hit
        shared = shared_levels(asked, got)
        if not got:
            errors.no_category += 1
        elif not shared:
            errors.other_tree += 1
        else:
            errors.levels[len(got) - len(asked)] += 1
            errors.same_path += shared == min(len(asked), len(got))
    return errors


def looked_at(protocol: TreeProtocol, result: SystemResult) -> Iterator[list[WrongHit | None]]:
    """For each query its first min(10, relevant products) hits, best first; None stands for a right one.

    The limit keeps large categories from outweighing small ones, and beyond it every system must be wrong.
    """
    for query, ranking in zip(protocol.queries, result.rankings, strict=True):
        relevant = set(query.relevant.tolist())
        first = ranking[: min(DEPTH, len(relevant))].tolist()
        yield [
            None if position in relevant else _wrong(query.paths, protocol.products[position].category_paths)
            for position in first
        ]


def share(part: int, whole: int) -> float | None:
    """Percent; None where `whole` is 0."""
    return round(100 * part / whole, 2) if whole else None


def _wrong(nodes: Sequence[CategoryPath], paths: CategoryPaths) -> WrongHit:
    pairs = itertools.product(nodes, paths or ((),))
    return max(pairs, key=lambda pair: (shared_levels(*pair), -abs(len(pair[0]) - len(pair[1]))))


def shared_levels(left: CategoryPath, right: CategoryPath) -> int:
    """Levels that both paths have in common from the root; 0 in different trees."""
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(left, right, strict=False)))
