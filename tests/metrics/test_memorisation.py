"""Repetition shows, fresh draws do not, and the intervals cover what they say."""

from pathlib import Path

import numpy as np
import pytest

from metrics import UserError
from metrics.judges.cnn import Cnn
from metrics.memorisation import (
    RealPair,
    memorisation,
    nearest,
    read_neighbours,
    real_neighbours,
    thumbnails,
    write_neighbours,
)
from metrics.samples import Samples


def pair(rng: np.random.Generator, train: int = 400, held_out: int = 150, d: int = 6) -> RealPair:
    arrays = [x for n in (train, held_out) for x in (rng.normal(size=(n, d)), np.arange(n) % 5)]
    return RealPair(*arrays)


def test_copies_are_found_and_fresh_draws_are_not() -> None:
    rng = np.random.default_rng(0)
    real = pair(rng)
    copies = real.train[rng.integers(400, size=300)] + 0.01 * rng.normal(size=(300, 6))
    is_training, farther = memorisation(copies, real, "features", 0)
    # 150 of the 400 training images are among the real ones; copies of the others have any nearest image
    assert is_training.interval[0] > 0.55
    assert farther.scores.mean() == 0
    is_training, farther = memorisation(rng.normal(size=(300, 6)), real, "features", 0)
    for found in (is_training, farther):
        assert found.interval[0] < 0.5 < found.interval[1]
    assert memorisation(100 + copies, real, "pixels", 0)[1].scores.mean() == 1


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    covered = np.zeros(2)
    for seed in range(200):
        rng = np.random.default_rng(seed)
        found = memorisation(rng.normal(size=(300, 3)), pair(rng, 200, 100, 3), "features", seed)
        covered += [f.interval[0] <= 0.5 <= f.interval[1] for f in found]
    # binomial: 190 of 200, give or take 3 standard deviations of 3.1
    assert (covered >= 180).all()


def test_both_kinds_of_real_images_are_equally_many_in_each_class() -> None:
    rng = np.random.default_rng(0)
    real = RealPair(
        np.arange(30)[:, None], np.arange(30) % 3, 100 + np.arange(8)[:, None], np.array([0] * 6 + [1] * 2)
    )
    pool, m = real.balanced(0)
    assert m == 8
    assert sorted(pool[:m, 0] % 3) == [0] * 6 + [1] * 2
    assert (pool[m:] >= 100).all()
    index, distance = nearest(rng.normal(size=(40, 4)), rng.normal(size=(25, 4)))
    assert index.shape == distance.shape == (40,)


def test_nearest_is_the_nearest() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.integers(0, 256, (70, 50)), rng.integers(0, 256, (90, 50))
    y[5] = x[3]
    index, distance = nearest(x, y)
    apart = ((x[:, None] - y[None]) ** 2).sum(-1)
    assert np.array_equal(index, apart.argmin(1))
    assert np.allclose(distance, apart.min(1), atol=1)
    assert distance[3] == pytest.approx(0, abs=0.5)


def test_files_come_back_and_lacking_ones_are_refused(cnn: Cnn, held_out: Samples, tmp_path: Path) -> None:
    assert held_out.labels is not None
    train, new = held_out.part(slice(0, 300)), held_out.part(slice(300, 400))
    made = real_neighbours(cnn, train.part(slice(0, 120)), train, new)
    write_neighbours(tmp_path / "n.npz", made)
    again = read_neighbours(tmp_path / "n.npz")
    assert {space: len(real.train) for space, real in again.items()} == {"features": 120, "pixels": 300}
    assert again["features"].train.shape[1] == 32
    order = train.labels.argsort(kind="stable")
    assert np.array_equal(again["pixels"].train, thumbnails(train.images[order]))
    assert np.array_equal(again["pixels"].held_out_labels, np.sort(new.labels))
    np.savez(tmp_path / "few.npz", features_train=np.zeros(3))
    with pytest.raises(UserError, match=r"few\.npz: no features_train_labels"):
        read_neighbours(tmp_path / "few.npz")


def test_thumbnails_are_means_of_brightness() -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    small = thumbnails(images).reshape(2, 32, 32)
    assert small[1, 3, 5] == pytest.approx(images[1, 6:8, 10:12].mean(), rel=1e-5)
    assert thumbnails(images[:, :16, :16]).shape == (2, 256)
