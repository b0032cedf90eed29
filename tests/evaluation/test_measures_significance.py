"""Intervals and paired tests against what statistics say about known distributions."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from clipita.evaluation.measures import bootstrap_interval, holm, paired_p_value


def test_the_interval_of_a_large_sample_is_the_normal_one() -> None:
    values = np.random.default_rng(1).normal(50, 10, 400)
    low, high = bootstrap_interval(values)
    half = 1.96 * values.std() / np.sqrt(400)
    assert low == pytest.approx(values.mean() - half, abs=0.15)
    assert high == pytest.approx(values.mean() + half, abs=0.15)


def test_the_interval_of_equal_values_is_a_point_and_repeats() -> None:
    assert bootstrap_interval(np.full(7, 42.0)) == (42.0, 42.0)
    values = np.arange(20.0)
    assert bootstrap_interval(values, seed=4) == bootstrap_interval(values, seed=4)


def test_the_p_value_is_the_share_of_sign_flips_that_are_as_large() -> None:
    left, right = np.array([1.0, 5, 2, 8, 4, 3, 9, 1]), np.array([2.0, 4, 4, 9, 7, 3.5, 9, 6])
    differences = right - left
    flips = itertools.product((-1, 1), repeat=8)
    exact = np.mean([abs(np.mean(differences * signs)) >= abs(differences.mean()) - 1e-12 for signs in flips])
    assert paired_p_value(left, right) == pytest.approx(exact, abs=0.01)


def test_equal_systems_do_not_differ() -> None:
    values = np.arange(30.0)
    assert paired_p_value(values, values) == 1.0


def test_a_steady_gain_is_no_chance() -> None:
    values = np.random.default_rng(2).normal(50, 20, 60)
    assert paired_p_value(values, values + 1) < 0.001


def test_unequal_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="no pairs"):
        paired_p_value(np.zeros(3), np.zeros(4))


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.6]) == [1.0, 1.0]
    assert holm([0.2]) == [0.2]
    assert holm([]) == []
