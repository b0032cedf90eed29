"""Wrong hits by where they lie, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from clipita.catalogue.product import Product
from clipita.evaluation.mistakes import count_errors, looked_at
from clipita.evaluation.protocol import System, SystemResult, TreeProtocol

PATHS = {
    "a": ("Clothing", "Shirts", "Polos"),
    "b": ("Clothing", "Shirts"),
    "c": ("Clothing", "Socks"),
    "d": ("Clothing", "Shoes", "Boots", "Long Boots"),
    "e": ("Gifts", "Funny"),
    "f": (),
    "g": ("Clothing",),
    "h": ("Clothing", "Shoes", "Boots"),
    "i": ("Clothing", "Shirts", "Polos", "Long Polos"),
}
ASKED = "Polos"


def answer(*ids: str, relevant_ids: int = 8) -> tuple[TreeProtocol, SystemResult]:
    """A ranking for the query Polos; all other queries find nothing. The query has 8 right products, never found."""
    right = [Product(f"right{number}", category_paths=(PATHS["a"],)) for number in range(relevant_ids)]
    protocol = TreeProtocol([*(Product(key, category_paths=(path,)) for key, path in PATHS.items()), *right])
    rankings = [
        np.array([protocol.positions[key] for key in ids] if query.text == ASKED else [], dtype=np.int64)
        for query in protocol.queries
    ]
    return protocol, protocol.score(System("x", "vector", "offline"), rankings)


def test_every_kind_of_mistake() -> None:
    errors = count_errors(*answer("a", "b", "c", "d", "e", "f", "g", "h"))
    assert (errors.hits, errors.right, errors.wrong) == (8, 1, 7)
    assert (errors.other_tree, errors.no_category) == (1, 1)
    assert dict(errors.levels) == {-1: 2, 1: 1, -2: 1, 0: 1}
    assert (errors.shallower, errors.same_level, errors.deeper) == (3, 1, 1)
    assert errors.same_path == 2, "Shirts and Clothing lie above Polos; Socks and Boots do not"
    told = errors.as_json()
    assert told["share of the shallower exactly one level up"] == pytest.approx(66.67)
    assert told["share of the deeper exactly one level down"] == 100
    assert told["levels"] == {"-2": 1, "-1": 2, "+0": 1, "+1": 1}
    assert told["confusions"][0]["asked"] == list(PATHS["a"])


def test_what_lies_below_the_category_is_right() -> None:
    errors = count_errors(*answer("i", "a", "b"))
    assert (errors.right, dict(errors.levels)) == (2, {-1: 1})


def test_no_more_hits_are_judged_than_there_are_right_products() -> None:
    protocol, result = answer("a", "b", "c", "d", relevant_ids=1)
    assert [len(hits) for hits in looked_at(protocol, result) if hits] == [3]
    assert count_errors(protocol, result).hits == 3


def test_a_name_in_two_branches_is_judged_from_the_nearer_one() -> None:
    products = [
        Product("1", category_paths=(("Clothing", "Socks"),)),
        Product("2", category_paths=(("Gifts", "Funny", "Socks"),)),
        Product("3", category_paths=(("Gifts", "Funny"),)),
    ]
    protocol = TreeProtocol(products)
    rankings = [np.array([2] if query.text == "Socks" else [], dtype=np.int64) for query in protocol.queries]
    errors = count_errors(protocol, protocol.score(System("x", "vector", "offline"), rankings))
    assert dict(errors.levels) == {-1: 1}
    assert list(errors.confusions) == [(("Gifts", "Funny", "Socks"), ("Gifts", "Funny"))]


def test_nothing_wrong_has_no_shares() -> None:
    told = count_errors(*answer("a")).as_json()
    assert told["wrong"] == 0
    assert set(told["share of wrong hits"].values()) == {None}


def test_a_wrong_hit_in_several_categories_is_judged_by_the_nearest_one() -> None:
    products = [
        Product("1", category_paths=(("Clothing", "Socks"),)),
        Product("2", category_paths=(("Gifts", "Funny"), ("Clothing", "Hats"))),
    ]
    protocol = TreeProtocol(products)
    rankings = [np.array([1, 0]) if query.text == "Socks" else query.relevant for query in protocol.queries]
    errors = count_errors(protocol, protocol.score(System("x", "vector", "offline"), rankings))
    assert errors.confusions == {(("Clothing", "Socks"), ("Clothing", "Hats")): 1}
