"""What kind of mistake a wrong hit is: in another tree, or how far off in the same one.

Reference: Hendriksen et al., Extending CLIP for Category-to-image Retrieval in E-commerce, ECIR 2022, section 6.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from clipita.catalogue.product import CategoryPath
from clipita.evaluation.measures import DEPTH
from clipita.evaluation.protocol import SystemResult, TreeProtocol

CONFUSIONS = 30
"""Pairs of categories that are listed."""


@dataclass(frozen=True)
class WrongHit:
    """A hit that is not relevant to its query.

    Attributes:
        query: index of the query.
        position: of the product.
        asked: the query's node that lies nearest to the hit's category.
        got: the product's category path; () where it has none.
    """

    query: int
    position: int
    asked: CategoryPath
    got: CategoryPath

    @property
    def shared(self) -> int:
        """Levels that both paths have in common from the root; 0 in another tree."""
        return _shared(self.asked, self.got)

    @property
    def levels(self) -> int:
        """How much deeper the hit's category lies than the one asked for; negative where it is shallower."""
        return len(self.got) - len(self.asked)


@dataclass
class Errors:
    """A system's wrong hits, counted.

    Attributes:
        hits: how many were looked at: the first min(10, relevant products) of each query, or fewer where fewer were
            found.
        right: relevant ones among them.
        other_tree: wrong ones below another root.
        no_category: wrong ones without any category.
        levels: wrong ones of the same tree, by how much deeper they lie than the category asked for.
        same_path: those of the same tree whose category lies above or below the one asked for.
        confusions: (asked, got) to the number of wrong hits.
    """

    hits: int = 0
    right: int = 0
    other_tree: int = 0
    no_category: int = 0
    levels: Counter[int] = field(default_factory=Counter)
    same_path: int = 0
    confusions: Counter[tuple[CategoryPath, CategoryPath]] = field(default_factory=Counter)

    @property
    def wrong(self) -> int:
        """Hits that are not relevant."""
        return self.hits - self.right

    @property
    def shallower(self) -> int:
        """Wrong hits of the same tree that lie nearer to the root than the category asked for."""
        return sum(count for levels, count in self.levels.items() if levels < 0)

    @property
    def same_level(self) -> int:
        """Wrong hits of the same tree in a sibling or cousin of the category asked for."""
        return self.levels[0]

    @property
    def deeper(self) -> int:
        """Wrong hits of the same tree that lie farther from the root."""
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
    """Count a system's wrong hits by where they lie."""
    errors = Errors()
    for hits in looked_at(protocol, result):
        errors.hits += len(hits)
        errors.right += sum(hit is None for hit in hits)
        for hit in hits:
            if hit is not None:
                _add(errors, hit)
    return errors


def looked_at(protocol: TreeProtocol, result: SystemResult) -> Iterator[list[WrongHit | None]]:
    """For each query its first min(10, relevant products) hits, best first; None stands for a right one.

    What a large category gets wrong would otherwise outweigh all small ones, and beyond as many hits as there are right
    products every system must be wrong.
    """
    for index, (query, ranking) in enumerate(zip(protocol.queries, result.rankings, strict=True)):
        relevant = set(query.relevant.tolist())
        first = (int(position) for position in ranking[: min(DEPTH, len(relevant))])
        yield [
            None
            if position in relevant
            else _wrong(index, position, query.paths, protocol.products[position].category_path)
            for position in first
        ]


def share(part: int, whole: int) -> float | None:
    """Percent, or None of nothing."""
    return round(100 * part / whole, 2) if whole else None


def _wrong(index: int, position: int, nodes: Sequence[CategoryPath], got: CategoryPath) -> WrongHit:
    nearest = max(nodes, key=lambda node: (_shared(node, got), -abs(len(node) - len(got))))
    return WrongHit(index, position, nearest, got)


def _add(errors: Errors, hit: WrongHit) -> None:
    if not hit.got:
        errors.no_category += 1
    elif not hit.shared:
        errors.other_tree += 1
    else:
        errors.levels[hit.levels] += 1
        errors.same_path += hit.shared == min(len(hit.asked), len(hit.got))
    errors.confusions[hit.asked, hit.got] += 1


def _shared(left: CategoryPath, right: CategoryPath) -> int:
    count = 0
    for ours, theirs in zip(left, right, strict=False):
        if ours != theirs:
            break
        count += 1
    return count
