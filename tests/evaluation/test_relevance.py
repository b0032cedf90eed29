"""The paper's set-ups: one category a product, and the ceiling that a draw puts on every ranking."""

from __future__ import annotations

import numpy as np
import pytest

from clipita.catalogue.product import Product
from clipita.evaluation.protocol import System, TreeProtocol
from clipita.evaluation.relevance import SETUPS, Setup, assigned, ceiling

PATHS = {
    "a": ("Clothing", "Shirts", "Polos"),
    "b": ("Clothing", "Socks"),
    "c": ("Clothing", "Shirts"),
    "d": ("Gifts", "Socks", "Funny"),
    "e": (),
}
PRODUCTS = [Product(key, title=key, category_path=path) for key, path in PATHS.items()]


def relevant(setup: Setup, seed: int = 0) -> dict[str, set[str]]:
    protocol = TreeProtocol(PRODUCTS, setup, seed)
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
    depths = [len(assigned(Product(str(number), category_path=("A", "B", "C")), "all")) for number in range(3000)]
    assert np.bincount(depths, minlength=4)[1:] == pytest.approx([1000] * 3, abs=90)


@pytest.mark.parametrize("setup", SETUPS)
def test_a_product_is_relevant_to_its_own_categories_alone(setup: Setup) -> None:
    count = sum(len(ids) for ids in relevant(setup).values())
    assert count == (sum(map(len, PATHS.values())) if setup == "tree" else 4)


def test_categories_that_are_not_asked_are_named() -> None:
    assert TreeProtocol(PRODUCTS).excluded == []
    assert TreeProtocol(PRODUCTS, "general").excluded == ["Funny", "Polos", "Shirts", "Socks"]
    protocol = TreeProtocol(PRODUCTS, "all", 7)
    assert {query.text for query in protocol.queries}.isdisjoint(protocol.excluded)
    assert len(protocol.queries) + len(protocol.excluded) == 6


def test_results_say_by_which_setup_they_were_scored() -> None:
    protocol = TreeProtocol(PRODUCTS, "specific")
    result = protocol.score(System("x", "vector", "offline"), [query.relevant for query in protocol.queries])
    assert (result.setup, result.mean("R-precision")) == ("specific", 100)
    assert {query.level for query in protocol.queries} == {2, 3}


@pytest.mark.parametrize("setup", ["tree", "general", "specific"])
def test_the_ceiling_is_100_where_the_path_tells_all(setup: Setup) -> None:
    assert ceiling(PRODUCTS, setup) == 100


def test_the_ceiling_of_all_by_hand() -> None:
    """Two products below one root and one leaf, so that four draws are as likely.

    root/root and leaf/leaf ask one query, and both products are right: 1. The two mixed draws ask both queries with one
    right product each, and as one ranking serves both, it is first for one query and second for the other: 1/2.
    """
    pair = [Product(key, category_path=("Root", "Leaf")) for key in "ab"]
    assert ceiling(pair, "all", draws=2000) == pytest.approx(75, abs=2)


def test_products_with_short_paths_come_first_in_the_best_ranking() -> None:
    """A path of one node is certain to be drawn; the long ones almost never are."""
    certain = [Product(f"z{number}", category_path=("Root",)) for number in range(20)]
    long = [
        Product(f"a{number}", category_path=("Root", *(f"n{number}-{at}" for at in range(30)))) for number in range(3)
    ]
    protocol = TreeProtocol([*certain, *long], "all")
    (root,) = [query for query in protocol.queries if query.text == "Root"]
    assert len(root.relevant) >= 20
    assert ceiling([*certain, *long], "all", draws=20) > 25
