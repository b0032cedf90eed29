"""The paper's set-ups: one category a product, and the ceiling that a draw puts on every ranking."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from clipita.catalogue.product import Product
from clipita.evaluation.mistakes import count_errors
from clipita.evaluation.protocol import System

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))

from paper_relevance import Setup, assigned, ceiling, protocol_of

SETUPS: tuple[Setup, ...] = ("tree", "all", "general", "specific")

PATHS = {
    "a": ("Clothing", "Shirts", "Polos"),
    "b": ("Clothing", "Socks"),
    "c": ("Clothing", "Shirts"),
    "d": ("Gifts", "Socks", "Funny"),
    "e": (),
}
PRODUCTS = [Product(key, title=key, category_paths=(path,)) for key, path in PATHS.items()]


def relevant(setup: Setup, seed: int = 0) -> dict[str, set[str]]:
    protocol = protocol_of(PRODUCTS, setup, seed)
    return {query.text: {protocol.ids[at] for at in query.relevant} for query in protocol.queries}


def test_general_asks_the_roots_and_specific_the_last_category() -> None:
    assert relevant("general") == {"Clothing": {"a", "b", "c"}, "Gifts": {"d"}}
    assert relevant("specific") == {"Polos": {"a"}, "Socks": {"b"}, "Shirts": {"c"}, "Funny": {"d"}}


def test_all_draws_one_node_of_the_path_by_seed_and_id() -> None:
    drawn = {product.id: assigned(product, "all", 7) for product in PRODUCTS}
    assert drawn == {product.id: assigned(product, "all", 7) for product in reversed(PRODUCTS)}
    for product in PRODUCTS:
        depth = len(drawn[product.id])
        assert drawn[product.id] == product.category_path[:depth]
        assert (depth > 0) == bool(product.category_path)
    everything = [set(relevant("all", seed)) for seed in range(30)]
    assert set().union(*everything) == {"Clothing", "Shirts", "Polos", "Socks", "Gifts", "Funny"}
    assert len({frozenset(names) for names in everything}) > 1


def test_every_node_of_a_path_is_as_likely() -> None:
    depths = [len(assigned(Product(str(number), category_paths=(("A", "B", "C"),)), "all")) for number in range(3000)]
    assert np.bincount(depths, minlength=4)[1:] == pytest.approx([1000] * 3, abs=90)


@pytest.mark.parametrize("setup", SETUPS)
def test_a_product_is_relevant_to_its_own_categories_alone(setup: Setup) -> None:
    count = sum(len(ids) for ids in relevant(setup).values())
    assert count == (sum(map(len, PATHS.values())) if setup == "tree" else 4)


def test_levels_and_leaves_are_those_of_the_whole_tree() -> None:
    protocol = protocol_of(PRODUCTS, "specific")
    assert {query.text: (query.level, query.leaf, query.paths) for query in protocol.queries} == {
        "Polos": (3, True, (PATHS["a"],)),
        "Socks": (2, True, (PATHS["b"],)),
        "Shirts": (2, False, (PATHS["c"],)),
        "Funny": (3, True, (PATHS["d"],)),
    }
    result = protocol.score(System("x", "vector", "offline"), [query.relevant for query in protocol.queries])
    assert result.mean("R-precision") == 100


def test_mistakes_are_judged_by_the_one_category() -> None:
    paths = {"a": PATHS["a"], "b": PATHS["c"], "c": (*PATHS["a"], "Long Polos"), "d": (*PATHS["a"], "Long Polos")}
    right = [Product(f"right{number}", category_paths=(PATHS["a"],)) for number in range(4)]
    protocol = protocol_of([*(Product(key, category_paths=(path,)) for key, path in paths.items()), *right], "specific")
    rankings = [
        np.array([protocol.positions[key] for key in "abc"] if query.text == "Polos" else [], dtype=np.int64)
        for query in protocol.queries
    ]
    errors = count_errors(protocol, protocol.score(System("x", "vector", "offline"), rankings))
    assert (errors.right, dict(errors.levels), errors.same_path) == (1, {-1: 1, 1: 1}, 2)


@pytest.mark.parametrize("setup", ["tree", "general", "specific"])
def test_the_ceiling_is_100_where_the_path_tells_all(setup: Setup) -> None:
    assert ceiling(PRODUCTS, setup) == 100


def test_the_ceiling_of_all_by_hand() -> None:
    """Two products below one root and one leaf, so that four draws are as likely.

    root/root and leaf/leaf ask one query, and both products are right: 1. The two mixed draws ask both queries with one
    right product each, and as one ranking serves both, it is first for one query and second for the other: 1/2.
    """
    pair = [Product(key, category_paths=(("Root", "Leaf"),)) for key in "ab"]
    assert ceiling(pair, "all", draws=2000) == pytest.approx(75, abs=2)


def test_products_with_short_paths_come_first_in_the_best_ranking() -> None:
    """A path of one node is certain to be drawn; the long ones almost never are."""
    certain = [Product(f"z{number}", category_paths=(("Root",),)) for number in range(20)]
    long = [
        Product(f"a{number}", category_paths=(("Root", *(f"n{number}-{at}" for at in range(30))),))
        for number in range(3)
    ]
    protocol = protocol_of([*certain, *long], "all")
    (root,) = [query for query in protocol.queries if query.text == "Root"]
    assert len(root.relevant) >= 20
    assert ceiling([*certain, *long], "all", draws=20) > 25
