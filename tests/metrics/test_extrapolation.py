"""The limit for infinitely many samples is nearer to the truth than any finite count."""

import numpy as np
import pytest

from metrics.distances import FrechetTarget
from metrics.extrapolation import frechet_curve, frechet_infinity


def test_line_through_an_exact_curve() -> None:
    assert frechet_infinity([(n, 3 + 50 / n) for n in (100, 200, 500)]) == pytest.approx(3)


def test_bias_of_few_samples_is_taken_away() -> None:
    d, shift = 16, 0.25
    features = np.random.default_rng(0).normal(size=(1000, d)) + shift
    curve = frechet_curve(features, None, FrechetTarget(np.zeros(d), np.eye(d)), 8, seed=0)
    truth = d * shift**2
    assert curve[0][0] == 200
    assert curve[-1][0] == 1000
    assert curve[0][1] > curve[-1][1] > truth
    assert abs(frechet_infinity(curve) - truth) < 0.5 * (curve[-1][1] - truth)
