"""Queries, relevance and rankings."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from clipita.catalogue.product import Product
from clipita.errors import CatalogueError
from clipita.evaluation.protocol import System, TreeProtocol, top

PATHS = {
    "b": ("Clothing", "Socks"),
    "a": ("Clothing", "Shirts", "Polos"),
    "d": ("Gifts", "Socks", "Funny"),
    "c": ("Clothing", "Shirts"),
    "e": (),
}


@pytest.fixture
def protocol() -> TreeProtocol:
    return TreeProtocol(Product(key, title=key, category_paths=(path,)) for key, path in PATHS.items())


def relevant_ids(protocol: TreeProtocol) -> dict[str, set[str]]:
    return {query.text: {protocol.ids[position] for position in query.relevant} for query in protocol.queries}


def test_a_product_is_relevant_to_every_category_on_its_path(protocol: TreeProtocol) -> None:
    relevant = relevant_ids(protocol)
    assert relevant["Clothing"] == {"a", "b", "c"}
    assert relevant["Shirts"] == {"a", "c"}
    assert relevant["Polos"] == {"a"}


def test_nodes_of_one_name_are_one_query(protocol: TreeProtocol) -> None:
    (socks,) = [query for query in protocol.queries if query.text == "Socks"]
    assert relevant_ids(protocol)["Socks"] == {"b", "d"}
    assert socks.paths == (("Clothing", "Socks"), ("Gifts", "Socks"))
    assert socks.level == 2
    assert not socks.leaf, "one of the two has a category below it"


def test_a_name_that_repeats_on_one_path_counts_its_product_once() -> None:
    protocol = TreeProtocol([Product("a", category_paths=(("Shoes", "Shoes"),))])
    (query,) = protocol.queries
    assert query.relevant.tolist() == [0]
    assert query.level == 1


def test_products_without_a_category_stay_as_distractors(protocol: TreeProtocol) -> None:
    assert "e" in protocol.ids
    assert all("e" not in ids for ids in relevant_ids(protocol).values())


def test_groups_by_level_and_leaves(protocol: TreeProtocol) -> None:
    names = {group: {protocol.queries[index].text for index in indices} for group, indices in protocol.groups().items()}
    assert names["general (level 1, roots)"] == {"Clothing", "Gifts"}
    assert names["level 2"] == {"Shirts", "Socks"}
    assert names["specific (leaves)"] == {"Polos", "Funny"}


def test_the_order_of_the_file_changes_nothing() -> None:
    products = [Product(key, title=key, category_paths=(path,)) for key, path in PATHS.items()]
    vectors = {key: np.eye(5, dtype=np.float32)[position % 2] for position, key in enumerate(sorted(PATHS))}
    rankings = []
    for order in (products, products[::-1]):
        protocol = TreeProtocol(order)
        stacked = np.stack([vectors[key] for key in protocol.ids])
        queries = np.ones((len(protocol.queries), 5), dtype=np.float32)
        rankings.append([[protocol.ids[i] for i in r] for r in protocol.rank_vectors(queries, stacked)])
    assert rankings[0] == rankings[1]
    assert rankings[0][0] == sorted(PATHS), "equal scores stand in the order of their ids"


def test_scores_of_a_hand_made_ranking(protocol: TreeProtocol) -> None:
    perfect = [query.relevant for query in protocol.queries]
    result = protocol.score(System("x", "vector", "offline"), perfect)
    assert result.mean("R-precision") == 100
    nothing = protocol.score(System("x", "vector", "offline"), [np.array([], dtype=np.int64)] * len(protocol.queries))
    assert nothing.mean("P@1") == 0
    with pytest.raises(ValueError, match="shorter"):
        protocol.score(System("x", "vector", "offline"), perfect[1:])


def test_one_id_twice_is_refused() -> None:
    with pytest.raises(CatalogueError, match="'a' stands more than once"):
        TreeProtocol([Product("a", category_paths=(("x",),)), Product("a", category_paths=(("y",),))])


def test_a_catalogue_without_categories_is_refused() -> None:
    with pytest.raises(CatalogueError, match="nothing to ask") as caught:
        TreeProtocol([Product("a", title="shirt")])
    assert "--category-field" in str(caught.value.hint)


@given(arrays(np.float32, st.integers(1, 40), elements=st.sampled_from([-np.inf, -1, 0, 0.5, 1])), st.integers(1, 45))
def test_top_is_the_beginning_of_a_full_stable_sort(scores: np.ndarray, depth: int) -> None:
    by_hand = sorted((i for i in range(len(scores)) if scores[i] > -np.inf), key=lambda i: (-scores[i], i))
    assert top(scores, depth).tolist() == by_hand[:depth]


def test_a_score_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="not a number"):
        top(np.array([1, np.nan], dtype=np.float32), 1)


def test_batches_of_queries_rank_as_one(monkeypatch: pytest.MonkeyPatch, protocol: TreeProtocol) -> None:
    random = np.random.default_rng(1)
    queries = random.normal(size=(len(protocol.queries), 4)).astype(np.float32)
    products = random.normal(size=(len(protocol.ids), 4)).astype(np.float32)
    whole = [ranking.tolist() for ranking in protocol.rank_vectors(queries, products)]
    monkeypatch.setattr("clipita.evaluation.protocol._SCORES_AT_ONCE", 12)
    assert [ranking.tolist() for ranking in protocol.rank_vectors(queries, products)] == whole


def test_seen_and_unseen_queries_are_told_apart() -> None:
    products = [Product(str(number), category_paths=(path,)) for number, path in enumerate([("A", "B"), ("A", "C")])]
    protocol = TreeProtocol(products)
    protocol.select("all", {"A", "B"})
    groups = protocol.groups()
    assert [protocol.queries[at].text for at in groups["seen"]] == ["A", "B"]
    assert [protocol.queries[at].text for at in groups["unseen"]] == ["C"]
    for subset, names in (("seen", ["A", "B"]), ("unseen", ["C"])):
        protocol = TreeProtocol(products)
        protocol.select(subset, {"A", "B"})
        assert [query.text for query in protocol.queries] == names
        assert not {"seen", "unseen"} & set(protocol.groups())


def test_a_subset_without_queries_is_told() -> None:
    protocol = TreeProtocol([Product("1", category_paths=(("A", "B"),))])
    with pytest.raises(CatalogueError, match="unseen"):
        protocol.select("unseen", {"A", "B"})


def test_nothing_usable_is_no_question_of_categories() -> None:
    with pytest.raises(CatalogueError, match="no usable product") as caught:
        TreeProtocol([])
    assert "catalogue check" in str(caught.value)


def test_a_product_is_relevant_to_the_categories_on_all_its_paths() -> None:
    both = Product("1", category_paths=(("Shop", "Men"), ("Shop", "Eco")))
    queries = {
        query.text: query for query in TreeProtocol([both, Product("2", category_paths=(("Shop", "Men"),))]).queries
    }
    assert {text: query.relevant.tolist() for text, query in queries.items()} == {
        "Shop": [0, 1], "Men": [0, 1], "Eco": [0],
    }  # fmt: skip
