"""Best of n: of several samples that were drawn for one image, the one that a judge scores highest."""

import numpy as np
from numpy.typing import NDArray

from metrics.samples import Samples


def images_of(
    seed: NDArray[np.int64] | None, index: NDArray[np.int64] | None, count: int
) -> NDArray[np.int64]:
    """Number of the image, 0, 1, ... in the samples' order, that each of `count` samples was drawn for: `(N,)`.

    Consecutive samples with equal seed and index are one image's; without these every sample is its own.
    """
    if seed is None or index is None:
        return np.arange(count)
    changes = (np.diff(seed) != 0) | (np.diff(index) != 0)
    return np.concatenate([[0], np.cumsum(changes)]).astype(np.int64)


def best_of_each(samples: Samples, image: NDArray[np.int64], scores: NDArray[np.float32]) -> Samples:
    """One sample of each image, the first of those with the highest score; all arrays `(N,)`."""
    order = np.lexsort((-scores, image))  # stable: the earlier of equals first
    first = np.concatenate([[True], np.diff(image[order]) != 0])
    return samples.part(order[first])
