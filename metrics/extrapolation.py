"""Frechet distance against the number of samples, and its limit for infinitely many (Chong & Forsyth 2020).

The estimate from N samples is too high by about c / N, with a c that depends on the generator: 1,000-image
and 50,000-image figures do not compare. A line through FD(N) over 1 / N, met at 1 / N = 0, takes the samples'
part of that bias away (the reference's own part stays: its statistics are taken as they are).
"""

import numpy as np
from numpy.typing import NDArray

from metrics.distances import FrechetTarget


def frechet_curve(
    features: NDArray, target: FrechetTarget, points: int, seed: int
) -> list[tuple[int, float]]:
    """(N, FD of N random samples), `points` of them, evenly spaced in 1 / N from a fifth of the samples to
    all.
    """
    n = len(features)
    shares = 1 / np.linspace(5, 1, points)
    rng = np.random.default_rng(seed)
    sizes = [max(2, round(n * share)) for share in shares]
    return [(m, target.distance(features[rng.permutation(n)[:m]])) for m in sizes]


def frechet_infinity(curve: list[tuple[int, float]]) -> float:
    """Intercept at 1 / N = 0 of the least-squares line through the curve."""
    sizes, values = np.array(curve, float).T
    _, intercept = np.polyfit(1 / sizes, values, 1)
    return float(intercept)
