"""Differences and ratios against closed forms."""

import math

import numpy as np
import pytest

from reports.intervals import Estimate, difference, paired, ratio


def test_paired_difference_is_students_t_over_seeds() -> None:
    a = Estimate(2.0, 0, 4, (1.0, 2.0, 3.0), (0, 1, 2))
    b = Estimate(1.0, 0, 2, (0.5, 1.0, 1.5), (0, 1, 2))
    result = difference(a, b)
    # differences 0.5, 1, 1.5: sd 0.5, t_2(0.975) = 4.302653
    reach = 4.302653 * 0.5 / math.sqrt(3)
    assert (result.value, result.low, result.high) == pytest.approx((1.0, 1.0 - reach, 1.0 + reach), rel=1e-6)
    assert result.values == (0.5, 1.0, 1.5)


def test_seeds_that_share_their_luck_are_told_apart_by_pairing() -> None:
    luck = np.array([-3.0, 0.0, 3.0])
    a = Estimate(11.0, 3, 19, tuple(11 + luck), (0, 1, 2))
    b = Estimate(10.0, 2, 18, tuple(10 + luck), (0, 1, 2))
    assert difference(a, b).low == pytest.approx(1.0)
    assert difference(a, Estimate(b.value, b.low, b.high)).low < 0


def test_combined_difference_of_normal_intervals_adds_variances() -> None:
    result = difference(Estimate(5.0, 2.0, 8.0), Estimate(1.0, -3.0, 5.0))
    assert (result.value, result.low, result.high) == (4.0, 4.0 - 5.0, 4.0 + 5.0)


def test_combined_difference_keeps_asymmetry() -> None:
    result = difference(Estimate(0.0, -1.0, 3.0), Estimate(0.0, 0.0, 0.0))
    assert (result.low, result.high) == (-1.0, 3.0)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (Estimate(1, 0, 2, (1.0,), (0,)), Estimate(1, 0, 2, (1.0,), (0,))),
        (Estimate(1, 0, 2, (1.0, 1.0), (0, 1)), Estimate(1, 0, 2, (1.0, 1.0), (0, 2))),
        (Estimate(1, 0, 2, (1.0, 1.0), (0, 1)), Estimate(1, 0, 2)),
    ],
    ids=["one seed", "other seeds", "no values"],
)
def test_only_the_same_two_or_more_seeds_are_paired(a: Estimate, b: Estimate) -> None:
    assert not paired(a, b)


def test_ratio_of_exact_values_and_of_intervals() -> None:
    exact = ratio(Estimate(6.0, 6.0, 6.0), Estimate(2.0, 2.0, 2.0))
    assert (exact.value, exact.low, exact.high) == pytest.approx((3.0, 3.0, 3.0))
    wide = ratio(Estimate(6.0, 3.0, 12.0), Estimate(2.0, 2.0, 2.0))
    assert (wide.low, wide.high) == pytest.approx((1.5, 6.0))


def test_ratio_over_an_interval_that_reaches_zero_is_unbounded() -> None:
    result = ratio(Estimate(1.0, 0.9, 1.1), Estimate(1.0, 0.0, 2.0))
    assert result.high == math.inf
    assert result.low > 0


def test_without_an_interval_there_is_none() -> None:
    assert not difference(Estimate(1.0), Estimate(0.5, 0.4, 0.6)).has_interval


def test_coverage_of_the_paired_interval() -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(400):
        shared, noise = rng.normal(0, 2, 4), rng.normal(0, 1, (2, 4))
        a, b = shared + noise[0] + 1.0, shared + noise[1]
        seeds = (0, 1, 2, 3)
        found = difference(
            Estimate(a.mean(), 0, 0, tuple(a), seeds), Estimate(b.mean(), 0, 0, tuple(b), seeds)
        )
        hits += found.low <= 1.0 <= found.high
    assert 0.92 <= hits / 400 <= 0.98
