"""Frechet distance against the number of samples, and its limit for infinitely many (Chong & Forsyth 2020).

The estimate from N samples is too high by about c / N, with a c that depends on the generator: 1,000-image
and 50,000-image figures do not compare. A line through FD(N) over 1 / N, met at 1 / N = 0, takes the samples'
part of that bias away (the reference's own part stays: its statistics are taken as they are).
"""

import numpy as np
from numpy.typing import NDArray

from metrics.distances import FrechetTarget

DRAWS = 3  # sets for each count, where so many fit beside each other: their mean is steadier


def frechet_curve(
    features: NDArray, labels: NDArray | None, target: FrechetTarget, points: int, seed: int
) -> list[tuple[int, float]]:
    """(N, mean FD of N of the samples), `points` of them, evenly spaced in 1 / N from a fifth of the samples to all.

    Every subset has the classes' shares of the whole. Drawn without regard to them, small subsets of a set with equal counts
    would carry a noise of the counts that the whole set does not have, and the line would end below the truth.
    """
    n, rng = len(features), np.random.default_rng(seed)
    sizes = [max(2, round(n * share)) for share in 1 / np.linspace(5, 1, points)]
    return [
        (m, float(np.mean([target.distance(features[part]) for part in _subsets(labels, n, m, rng)])))
        for m in sizes
    ]


def _subsets(labels: NDArray | None, n: int, size: int, rng: np.random.Generator) -> list[NDArray[np.int64]]:
    """Up to DRAWS disjoint sets of `size` of n indices; of each class its share, rounded up or down."""
    order = rng.permutation(n)
    if labels is not None:
        order = order[labels[order].argsort(kind="stable")]  # class by class, each in random order
    step = n / size
    start = rng.random() * (step - step // 1)
    places = (np.arange(size) * step + start).astype(np.int64)
    return [order[places + shift] for shift in range(min(DRAWS, n // size))]


def frechet_infinity(curve: list[tuple[int, float]]) -> float:
    """Intercept at 1 / N = 0 of the least-squares line through the curve."""
    sizes, values = np.array(curve, float).T
    _, intercept = np.polyfit(1 / sizes, values, 1)
    return float(intercept)
