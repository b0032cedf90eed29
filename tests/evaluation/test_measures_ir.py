"""Our measures against ir-measures on random runs."""

from __future__ import annotations

import random

import numpy as np
import pytest

from clipita.evaluation.measures import average_precision_at, precision_at, r_precision


@pytest.mark.parametrize("seed", range(5))
def test_they_agree_to_1e_9(seed: int) -> None:
    import ir_measures
    from ir_measures import AP, P, Rprec

    chance = random.Random(seed)
    documents = [f"d{number:03d}" for number in range(120)]
    judged, ranked, expected = {}, {}, {}
    for query in map(str, range(12)):
        relevant = set(chance.sample(documents, chance.randint(1, 60)))
        found = chance.sample(documents, chance.randint(1, 120))
        judged[query] = dict.fromkeys(relevant, 1)
        ranked[query] = {document: float(-rank) for rank, document in enumerate(found)}
        hits = np.array([document in relevant for document in found])
        expected[query] = {
            P @ 1: precision_at(hits, 1),
            P @ 5: precision_at(hits, 5),
            P @ 10: precision_at(hits, 10),
            # TREC's AP with a cut-off divides by the relevant ones, ours by those that fit into the cut-off.
            AP @ 10: average_precision_at(hits, len(relevant), 10) * min(10, len(relevant)) / len(relevant),
            AP @ 5: average_precision_at(hits, len(relevant), 5) * min(5, len(relevant)) / len(relevant),
            Rprec: r_precision(hits, len(relevant)),
        }
    seen = 0
    for value in ir_measures.iter_calc([P @ 1, P @ 5, P @ 10, AP @ 10, AP @ 5, Rprec], judged, ranked):
        assert value.value == pytest.approx(expected[value.query_id][value.measure], abs=1e-9)
        seen += 1
    assert seen == 12 * 6
