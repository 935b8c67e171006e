"""Precision, recall, density and coverage of a set and of many subsets of it, from distances that are computed once.

A set's manifold is the union of balls around its images, each reaching to the image's k-th nearest neighbour in the set.

    precision  share of samples inside the real manifold            (Kynkaanniemi et al. 2019)
    recall     share of real images inside the samples' manifold
    density    mean number of real balls that a sample is inside of, over k        (Naeem et al. 2020)
    coverage   share of real balls with a sample inside

A subset of the samples keeps the real balls, and each sample's distance to each real image. Only the samples' own balls
grow, for which each sample's nearest neighbours, more than enough of them, are kept in order.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BLOCK = 512  # rows at a time: 512 x 20,000 distances are 80 MB
GROUPS = 256
KEPT = 48  # neighbours kept of each sample: in a half of the samples, 3 of 48 are missing once in 10^10

ROUNDING = 1 + 1e-7  # an image at the very edge of a ball is inside, however its distance was rounded


@dataclass(frozen=True)
class Manifold:
    """The four shares, each (S,) for S subsets."""

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    density: NDArray[np.float64]
    coverage: NDArray[np.float64]


def radii(features: NDArray, k: int) -> NDArray[np.float64]:
    """(M,) squared distance of each image to its k-th nearest neighbour, of (M, D) features."""
    features, found = features.astype(np.float64), []
    for start in range(0, len(features), BLOCK):
        own = np.arange(len(features[start : start + BLOCK]))
        apart = _squared(features[start : start + BLOCK], features)
        apart[own, start + own] = np.inf
        found.append(_kth_smallest(apart, k))
    return np.concatenate(found)


def _kth_smallest(values: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """(N,) of each row of (N, M), in a tenth of the time of a partition.

    The k-th smallest of the columns' groups' minima is a bound that at least k values keep, and few others do.
    """
    rows, columns = values.shape
    groups = max(k, min(GROUPS, columns // 2))
    whole = values[:, : columns - columns % groups].reshape(rows, -1, groups).min(axis=1)
    bound = np.partition(whole, k - 1, axis=1)[:, k - 1]
    row, column = _where(values <= bound[:, None])
    small = values[row, column]
    order = np.lexsort((small, row))
    first = np.searchsorted(row, np.arange(rows))  # rows come in order
    return small[order][first + k - 1]


def manifold(
    features: NDArray,
    real: NDArray,
    real_radii: NDArray[np.float64],
    k: int,
    subsets: list[NDArray[np.int64]],
) -> Manifold:
    """Of each subset (indices of features (N, D), more than k of them) against real (M, D) with its `radii`."""
    features, real = features.astype(np.float64), real.astype(np.float64)
    real_radii = real_radii * ROUNDING
    own = _subset_radii(features, k, subsets) * ROUNDING  # (N, S)
    hits = np.zeros(len(features))  # real balls that a sample is inside of
    inside, covered = np.zeros((2, len(subsets), len(real)), bool)
    reach = own.max(axis=1)
    for start in range(0, len(features), BLOCK):
        part = slice(start, start + BLOCK)
        apart = _squared(features[part], real)
        sample, image = _where(apart <= real_radii)
        hits[part] = np.bincount(sample, minlength=len(apart))
        member = own[part] > -np.inf
        for column in range(len(subsets)):
            covered[column, image[member[sample, column]]] = True
        sample, image = _where(apart <= reach[part, None])
        near = apart[sample, image]
        for column in range(len(subsets)):
            inside[column, image[near <= own[part][sample, column]]] = True
    return Manifold(
        np.array([(hits[subset] > 0).mean() for subset in subsets]),
        inside.mean(axis=1),
        np.array([hits[subset].mean() / k for subset in subsets]),
        covered.mean(axis=1),
    )


def _subset_radii(features: NDArray, k: int, subsets: list[NDArray[np.int64]]) -> NDArray[np.float64]:
    """(N, S) squared radius of each sample's ball in each subset; -inf for samples that are not in it."""
    member = np.zeros((len(features), len(subsets)), bool)
    for column, subset in enumerate(subsets):
        member[subset, column] = True
    found = np.full(member.shape, -np.inf)
    kept = min(KEPT, len(features) - 1)
    for start in range(0, len(features), BLOCK):
        own = np.arange(len(features[start : start + BLOCK]))
        apart = _squared(features[start : start + BLOCK], features)
        apart[own, start + own] = np.inf
        near = np.argpartition(apart, kept - 1, axis=1)[:, :kept]
        distances = np.take_along_axis(apart, near, axis=1)
        order = distances.argsort(axis=1)
        near, distances = (
            np.take_along_axis(near, order, axis=1),
            np.take_along_axis(distances, order, axis=1),
        )
        for column, subset in enumerate(subsets):
            count = member[near, column].cumsum(axis=1)
            radius = np.take_along_axis(distances, (count >= k).argmax(axis=1)[:, None], axis=1)[:, 0]
            for row in np.flatnonzero(count[:, -1] < k):  # too few of the kept ones are in this subset
                radius[row] = np.partition(apart[row, subset], k - 1)[k - 1]
            found[start + own, column] = np.where(member[start + own, column], radius, -np.inf)
    return found


def _squared(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, M) squared distances |x|^2 + |y|^2 - 2 x.y, as one product. In float64: in float32 the radius of near-duplicates is
    lost.
    """
    norms = [(z**2).sum(1, keepdims=True) for z in (x, y)]
    first = np.concatenate([x, norms[0], np.ones_like(norms[0])], axis=1)
    second = np.concatenate([-2 * y, np.ones_like(norms[1]), norms[1]], axis=1)
    return first @ second.T


def _where(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """np.nonzero of a matrix with few hits, faster."""
    row, column = np.divmod(np.flatnonzero(mask), mask.shape[1])
    return row, column
