"""Kernel distance (KID, Binkowski et al. 2018) on all images: the unbiased squared MMD, of a set and of many subsets of it.

    MMD^2 = sum_{i != j} k(x_i, x_j) / (n (n - 1)) + sum_{i != j} k(y_i, y_j) / (m (m - 1)) - 2 sum_{ij} k(x_i, y_j) / (n m)

with torch-fidelity's kernel k(x, y) = (x.y / d + 1)^3. torch-fidelity averages over random subsets instead, which are not
balanced over the classes as the whole sets are: the class counts' noise is then part of the value.
"""

import numpy as np
from numpy.typing import NDArray

BLOCK = 512  # rows at a time: 512 x 20,000 kernel values are 80 MB


def kernel(x: NDArray, y: NDArray) -> NDArray[np.float64]:
    """(N, M) of features (N, D) and (M, D)."""
    base = x.astype(np.float64) @ y.astype(np.float64).T
    base /= x.shape[1]
    base += 1
    return base * base * base


def own_mean(features: NDArray) -> float:
    """Mean of k over all ordered pairs of different images, of (M, D) features."""
    features, total = features.astype(np.float64), 0.0
    for start in range(0, len(features), BLOCK):
        rows, later = features[start : start + BLOCK], features[start + BLOCK :]
        own = kernel(rows, rows)
        total += float(own.sum() - own.trace())
        if len(later):
            total += 2 * float(kernel(rows, later).sum())  # k is symmetric
    return total / (len(features) * (len(features) - 1))


def kernel_distances(
    features: NDArray, real: NDArray, real_mean: float, subsets: list[NDArray[np.int64]]
) -> list[float]:
    """Squared MMD of each subset (indices of features (N, D)) from real (M, D); may be slightly negative.

    real_mean: `own_mean` of the real features.
    """
    inside = np.zeros((len(features), len(subsets)))
    for column, subset in enumerate(subsets):
        inside[subset, column] = 1
    own, across, sizes = np.zeros(len(subsets)), np.zeros(len(subsets)), inside.sum(0)
    features, real = features.astype(np.float64), real.astype(np.float64)
    for start in range(0, len(features), BLOCK):
        rows, part = features[start : start + BLOCK], inside[start : start + BLOCK]
        pairs = kernel(rows, features)
        itself = np.arange(len(rows))
        pairs[itself, start + itself] = 0
        own += (part * (pairs @ inside)).sum(0)
        across += part.T @ kernel(rows, real).sum(1)
    found = own / (sizes * (sizes - 1)) + real_mean - 2 * across / (sizes * len(real))
    return found.tolist()
