"""Page F1 and sizes: what a page holds beside what belongs there."""

from __future__ import annotations

import numpy as np
import pytest

from clipita.catalogue.product import Product
from clipita.evaluation.pages import PageEnds, cross_validated, curve_of, fit_queries, measure_pages
from clipita.evaluation.protocol import TreeProtocol


def catalogue(each: int = 20) -> TreeProtocol:
    paths = [("Shoes", "Clogs"), ("Shoes", "Boots"), ("Bags", "Totes")]
    return TreeProtocol(
        Product(f"{number}-{copy:02d}", title="x", category_paths=(path,))
        for number, path in enumerate(paths)
        for copy in range(each)
    )


def test_a_page_is_measured_by_what_belongs_there() -> None:
    protocol = catalogue(each=2)
    names = [query.text for query in protocol.queries]
    pages = {
        "Bags": [0, 0, 0, 0, 1, 1],
        "Boots": [0, 0, 1, 0, 0, 0],
        "Clogs": [1, 1, 1, 1, 0, 0],
        "Shoes": [0, 0, 0, 0, 0, 0],
        "Totes": [1, 1, 0, 0, 0, 0],
    }
    found = measure_pages(protocol.queries, "any", lambda row: np.array(pages[names[row]], dtype=bool))
    assert dict(zip(names, found.f1, strict=True)) == pytest.approx(
        {"Bags": 100, "Boots": 200 / 3, "Clogs": 200 / 3, "Shoes": 0, "Totes": 0}
    )
    assert dict(zip(names, found.size, strict=True)) == {"Bags": 1, "Boots": 0.5, "Clogs": 2, "Shoes": 0, "Totes": 1}
    means = found.means(range(5))
    assert means["pages within 20 %"] == pytest.approx(40)
    assert means["page size"] == 1


def test_twenty_percent_is_inside() -> None:
    ends = PageEnds("any", np.zeros(4), np.array([0.8, 1.2, 0.79, 1.21]))
    assert ends.within.tolist() == [True, True, False, False]


def test_thresholds_are_judged_on_products_that_did_not_make_them() -> None:
    protocol = catalogue()
    rows = []
    for query in protocol.queries:
        row = np.full(len(protocol.ids), 0.1, dtype=np.float32)
        row[query.relevant] = 0.7
        rows.append(row)
    ends = cross_validated(protocol, "clean", lambda row: rows[row])
    assert ends.f1 == pytest.approx(np.full(len(rows), 100.0))
    noise = np.random.default_rng(0).random((len(rows), len(protocol.ids))).astype(np.float32)
    guessed = cross_validated(protocol, "noise", lambda row: noise[row])
    assert guessed.f1.mean() < 70


def test_a_query_has_the_thresholds_of_its_category() -> None:
    protocol = catalogue()
    row = np.linspace(0, 1, len(protocol.ids), dtype=np.float32)
    fitted = fit_queries(protocol, lambda _: row)
    assert curve_of(fitted, protocol.queries[0]) == fitted.categories[protocol.queries[0].paths[0]]
