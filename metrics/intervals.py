"""Confidence intervals: Wilson for shares, bootstrap for means, half-samples for everything else, t over
seeds.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95

Interval = tuple[float, float]


def wilson_interval(hits: int, n: int, confidence: float = CONFIDENCE) -> Interval:
    """Wilson's score interval of a share; it keeps a width at 0 and at n hits."""
    from scipy.stats import binomtest

    interval = binomtest(hits, n).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


def mean_interval(values: NDArray, labels: NDArray, resamples: int, seed: int) -> Interval:
    """Percentile bootstrap of the mean of `values` (N,), resampled within each class.

    The classes are fixed by the protocol (as many images of each), so resampling across them would add a
    variance that repeating the evaluation does not have. Classes of one image leave nothing to resample; then
    all are one stratum.
    """
    from scipy.stats import bootstrap

    strata = [values[labels == label] for label in np.unique(labels)]
    if min(map(len, strata)) < 2:
        strata = [values]
    if len(values) < 2:
        return float("nan"), float("nan")

    def mean(*samples: NDArray, axis: int = -1) -> NDArray:
        return sum(sample.sum(axis) for sample in samples) / len(values)

    result = bootstrap(
        strata,
        mean,
        n_resamples=resamples,
        vectorized=True,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(seed),
        batch=50,
    )
    return float(result.confidence_interval.low), float(result.confidence_interval.high)


def half_samples(labels: NDArray, count: int, seed: int) -> list[NDArray]:
    """`count` sorted index arrays, each a random half of every class, drawn without replacement.

    They follow from labels, count and seed alone. Variants of a preset have the same labels in the same order, and so the same
    halves: differences between variants are taken half by half.
    """
    rng = np.random.default_rng(seed)
    groups = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    if min(map(len, groups)) < 4:  # classes too small to halve
        groups = [np.arange(len(labels))]
    return [np.sort(np.concatenate([_half(group, rng) for group in groups])) for _ in range(count)]


def _half(group: NDArray, rng: np.random.Generator) -> NDArray:
    # of an odd group the odd one goes to either half, so that halves have N / 2 images on average
    size = len(group) // 2 + int(len(group) % 2 and rng.random() < 0.5)
    return rng.choice(group, size, replace=False)


def half_sample_interval(value: float, of_halves: Sequence[float]) -> Interval:
    """Normal interval around `value`; its standard error is the standard deviation of the statistic's values of halves.

    Delete-half jackknife: sqrt(m / (n - m)) = 1 for m = n / 2. Unlike the bootstrap it makes no duplicates,
    which bias the Frechet distance upward and break nearest-neighbour radii.
    """
    return normal_interval(value, float(np.std(of_halves, ddof=1)))


def normal_interval(value: float, error: float) -> Interval:
    """Around `value` with standard error `error`."""
    from scipy.stats import norm

    reach = float(norm.ppf(0.5 + CONFIDENCE / 2)) * error
    return value - reach, value + reach


def seeds_interval(values: list[float]) -> Interval:
    """Student's t interval of the mean over independently trained models; at least two."""
    from scipy.stats import t

    mean, n = float(np.mean(values)), len(values)
    reach = float(t.ppf(0.5 + CONFIDENCE / 2, n - 1) * np.std(values, ddof=1) / np.sqrt(n))
    return mean - reach, mean + reach
