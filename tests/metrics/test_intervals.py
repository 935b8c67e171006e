"""Intervals cover what they claim to cover."""

import numpy as np
import pytest

from metrics.intervals import (
    half_sample_interval,
    half_samples,
    mean_interval,
    seeds_interval,
    wilson_interval,
)


def test_wilson_keeps_a_width_at_the_edges() -> None:
    low, high = wilson_interval(100, 100)
    assert high == 1
    assert low == pytest.approx(0.9630, abs=1e-4)
    assert wilson_interval(50, 100) == pytest.approx((0.4038, 0.5962), abs=1e-4)


def test_mean_interval_ignores_differences_between_classes() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(10), 40)
    noise = rng.normal(size=400)
    low, high = mean_interval(noise + 100 * labels, labels, 500, 0)
    expected = 2 * 1.96 * noise.std() / 20
    assert high - low == pytest.approx(expected, rel=0.2)
    assert low < (noise + 100 * labels).mean() < high
    again = mean_interval(noise + 100 * labels, labels, 500, 0)
    assert (low, high) == again


def test_mean_interval_of_single_images_falls_back_to_one_stratum() -> None:
    low, high = mean_interval(np.arange(20.0), np.arange(20), 200, 0)
    assert low < 9.5 < high


def test_halves_are_halves_of_every_class_without_duplicates() -> None:
    labels = np.repeat([0, 1, 2], [10, 20, 31])
    for half in half_samples(labels, 20, 0):
        assert len(set(half)) == len(half)
        counts = np.bincount(labels[half])
        assert counts[:2].tolist() == [5, 10]
        assert counts[2] in (15, 16)


def test_half_sample_error_is_the_standard_error_of_the_mean() -> None:
    values = np.random.default_rng(1).normal(size=1000)
    halves = half_samples(np.zeros(1000), 400, 0)
    low, high = half_sample_interval(values.mean(), [values[half].mean() for half in halves])
    assert high - low == pytest.approx(2 * 1.96 / np.sqrt(1000), rel=0.15)
    assert (low + high) / 2 == pytest.approx(values.mean())


def test_seeds_interval_is_students() -> None:
    low, high = seeds_interval([1.0, 2.0, 3.0])
    assert (low, high) == pytest.approx((2 - 4.302653 / np.sqrt(3), 2 + 4.302653 / np.sqrt(3)))
