"""Best of n keeps one sample of each image, by the judge alone."""

import numpy as np

from metrics.best import best_of_each, images_of
from metrics.samples import Samples


def numbered(count: int, seed: np.ndarray) -> Samples:
    """Sample k has the grey value k."""
    images = np.broadcast_to(np.arange(count, dtype=np.uint8)[:, None, None, None], (count, 2, 2, 3))
    return Samples(images, np.arange(count) % 3, seed)


def test_images_are_told_apart_by_seed_and_index():
    seed, index = np.array([0, 0, 0, 0, 1, 1]), np.array([4, 4, 5, 5, 5, 5])
    assert images_of(seed, index, 6).tolist() == [0, 0, 1, 1, 2, 2]
    assert images_of(None, index, 3).tolist() == [0, 1, 2]


def test_the_best_of_each_image_is_kept():
    seed = np.array([0, 0, 0, 0, 0, 0, 1, 1, 1])
    image = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2])
    scores = np.array([0.1, 0.9, 0.5, 7, 7, 3, -3, -2, -1], dtype=np.float32)
    best = best_of_each(numbered(9, seed), image, scores)
    assert best.images[:, 0, 0, 0].tolist() == [1, 3, 8]  # of two equal ones the first
    assert best.seed.tolist() == [0, 0, 1]
    assert best.labels is not None
    assert best.labels.tolist() == [1, 0, 2]


def test_one_sample_of_each_image_is_all_of_them():
    samples = numbered(4, np.zeros(4, dtype=np.int64))
    same = best_of_each(samples, np.arange(4), np.array([3, 1, 2, 0], dtype=np.float32))
    assert np.array_equal(same.images, samples.images)
