"""Boosts: their written form and their scripts."""

from __future__ import annotations

import pytest

from clipita.errors import UsageError
from clipita.opensearch.search.boosts import Boost, boosted, factor_script


@pytest.mark.parametrize(
    ("text", "boost"),
    [
        ("popularity:sales:0.2:100", Boost("popularity", "sales", 0.2, half=100)),
        ("stock:in_stock:0.3", Boost("stock", "in_stock", 0.3)),
        ("recency:added:0.2:30", Boost("recency", "added", 0.2, half_life=30)),
        ("margin:gain:-0.1:0:1", Boost("margin", "gain", -0.1, low=0, high=1)),
        ("margin:gain:0.1", Boost("margin", "gain", 0.1)),
    ],
)
def test_the_written_form(text: str, boost: Boost) -> None:
    assert Boost.parse(text) == boost


@pytest.mark.parametrize(
    "text",
    ["", "stock", "stock:in_stock", "sales:sales:0.2", "stock:in_stock:much", "stock:in_stock:0.3:1", "stock:a:-1",
     "popularity:sales:0.2:0", "margin:gain:0.1:1:0", "stock:a:nan", "stock:a:inf"],
)  # fmt: skip
def test_another_form_or_a_number_out_of_bounds_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        Boost.parse(text)


def test_the_script_depends_on_the_fields_type_alone() -> None:
    numbers = [factor_script(Boost("recency", "added", weight), "long") for weight in (0.1, 0.2)]
    assert numbers[0]["source"] == numbers[1]["source"]
    assert numbers[0]["params"]["now"] % 86_400_000 == 0
    assert len({factor_script(Boost("recency", "a", 0.1), kind)["source"] for kind in ("long", "date", "keyword")}) == 3


def test_every_factor_multiplies_the_score() -> None:
    boosts = [(Boost("stock", "in_stock", 0.3), "boolean"), (Boost("popularity", "sales", 0.2), "long")]
    query = boosted({"match_all": {}}, boosts)["function_score"]
    assert (query["score_mode"], query["boost_mode"], len(query["functions"])) == ("multiply", "multiply", 2)
