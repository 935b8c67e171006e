"""Differences and ratios against closed forms."""

import math

import numpy as np
import pytest

from reports.intervals import Estimate, Halves, difference, over_teacher, ratio


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
    ids=["one seed", "one common seed", "no values"],
)
def test_without_common_seeds_or_halves_intervals_are_combined(a: Estimate, b: Estimate) -> None:
    assert "combined" in difference(a, b).how


def test_seeds_that_both_have_are_the_ones_that_are_paired() -> None:
    a = Estimate(2.5, 0, 9, (1.0, 2.0, 3.0, 4.0), (0, 1, 2, 3))
    b = Estimate(2.0, 0, 9, (1.5, 2.0, 2.5), (2, 3, 9))
    result = difference(a, b)
    assert result.seeds == (2, 3)
    assert result.values == (1.5, 2.0)
    assert result.value == pytest.approx(1.75)


def with_halves(value: float, halves: list[float], seed: int = 0, id: str = "same") -> Estimate:
    return Estimate(value, value - 1, value + 1, (value,), (seed,), halves=(Halves(id, tuple(halves)),))


def test_one_common_seed_is_compared_on_the_same_halves() -> None:
    a, b = with_halves(5.0, [4.0, 6.0, 5.0, 7.0]), with_halves(3.0, [2.5, 3.5, 3.5, 4.5])
    result = difference(a, b)
    # differences 1.5, 2.5, 1.5, 2.5: sd 0.5773503, t_3(0.975) = 3.182446; the value is that of the whole
    reach = 3.182446 * 0.5773503
    assert (result.value, result.low, result.high) == pytest.approx((2.0, 2 - reach, 2 + reach), rel=1e-6)


def test_other_halves_are_not_paired() -> None:
    a, b = with_halves(5.0, [4.0, 6.0]), with_halves(3.0, [2.0, 4.0], id="others")
    assert "combined" in difference(a, b).how


def test_a_bias_of_halves_does_not_matter_to_a_ratio() -> None:
    """A Frechet distance of half the images is larger: its spread counts, about the value of all of them."""
    plain = ratio(with_halves(2.0, [1.9, 2.1]), with_halves(1.0, [1.0, 1.0]))
    biased = ratio(with_halves(2.0, [4.9, 5.1]), with_halves(1.0, [1.0, 1.0]))
    assert (plain.low, plain.high) == pytest.approx((biased.low, biased.high))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("other", [[0.1, -0.2, 0.4], [0.1, 0.2, 0.4]])
def test_a_distance_that_is_not_above_zero_on_some_half_has_no_interval_and_no_warning(
    other: list[float],
) -> None:
    result = ratio(with_halves(0.01, [0.3, -0.3, 0.1]), with_halves(0.05, other))
    assert result.value == pytest.approx(0.2)
    assert not result.has_interval


def test_students_of_a_given_teacher_against_it() -> None:
    student = Estimate(2.0, 0, 9, (1.0, 2.0, 3.0), (0, 1, 2))
    teacher = with_halves(1.5, [1.0, 2.0, 1.5])  # sd 0.5
    result = over_teacher(student, teacher, {0: 0, 1: 0, 2: 0})
    variance = 1.0 / 3 + 0.25
    degrees = variance**2 / ((1 / 3) ** 2 / 2 + 0.25**2 / 2)
    from scipy.stats import t

    reach = t.ppf(0.975, degrees) * math.sqrt(variance)
    assert (result.value, result.low, result.high) == pytest.approx((0.5, 0.5 - reach, 0.5 + reach))
    assert result.values == (-0.5, 0.5, 1.5)


def test_teachers_do_not_count_as_spread_of_their_students() -> None:
    student = Estimate(5.0, 0, 9, (0.9, 1.1, 8.9, 9.1), (0, 1, 2, 3))
    halves = tuple(Halves("same", (x, x)) for x in (1.0, 9.0))
    teacher = Estimate(5.0, 0, 9, (1.0, 9.0), (0, 2), halves=halves)
    result = over_teacher(student, teacher, {0: 0, 1: 0, 2: 2, 3: 2})
    assert result.value == pytest.approx(0.0)
    # pooled variance 0.02, of the mean of four 0.005; two degrees of freedom
    assert result.high == pytest.approx(4.302653 * math.sqrt(0.005), rel=1e-6)


def test_p_values_agree_with_the_interval() -> None:
    estimate = ratio(with_halves(2.0, [1.9, 2.1, 2.0]), with_halves(1.0, [0.9, 1.0, 1.1]))
    assert estimate.p_below(estimate.high) == pytest.approx(0.025)
    assert estimate.p_above(estimate.low) == pytest.approx(0.025)
    assert estimate.p_above(estimate.value) == pytest.approx(0.5)


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
