"""Does a generator repeat its training images? Two shares with intervals, in a judge's features and in pixels.

nearest_is_training     share of generated images whose nearest real image is a training image, among equally many training
                        and held-out images of each class. 0.5 for a generator that cannot tell them apart, 1 for one that
                        only repeats.
farther_than_held_out   probability that a generated image is farther from its nearest training image than a held-out real
                        image is from its own. 0.5 where they are alike, 0 for repetition; a poor image is far from all real
                        ones, so above 0.5 says nothing of memorisation.

Training images that a judge was trained on lie closer together in its features than new ones: give it others.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metrics.errors import UserError
from metrics.features import FeatureJudge, extract
from metrics.files import replacing
from metrics.intervals import Interval, normal_interval
from metrics.npz import read_npz
from metrics.samples import Samples

KEPT = 10_000  # images of each kind
SIDE = 32  # pixels of the thumbnails
BLOCK = 512
SPACES = {"features": "", "pixels": "_pixels"}  # what distances are taken in -> how the metric's name ends
ARRAYS = ("train", "train_labels", "held_out", "held_out_labels")


@dataclass(frozen=True)
class RealPair:
    """Training (M, D) and held-out (H, D) images as vectors, with their labels (M,) and (H,)."""

    train: NDArray
    train_labels: NDArray[np.int64]
    held_out: NDArray
    held_out_labels: NDArray[np.int64]

    def balanced(self, seed: int) -> tuple[NDArray, int]:
        """(2 m, D): m training images and then m held-out ones, equally many of either in each class; and m."""
        rng, train, held_out = np.random.default_rng(seed), [], []
        for label in np.unique(self.held_out_labels):
            first, second = (np.flatnonzero(x == label) for x in (self.train_labels, self.held_out_labels))
            size = min(len(first), len(second))
            train.append(rng.permutation(first)[:size])
            held_out.append(rng.permutation(second)[:size])
        chosen = np.concatenate(train)
        return np.concatenate([self.train[chosen], self.held_out[np.concatenate(held_out)]]), len(chosen)


RealNeighbours = dict[str, RealPair]  # one for each of SPACES


@dataclass(frozen=True)
class Found:
    """(N,) one number in [0, 1] for each generated image, whose mean is the metric, and the mean's interval."""

    name: str
    title: str
    scores: NDArray[np.float64]
    interval: Interval
    how: str


def memorisation(generated: NDArray, real: RealPair, space: str, seed: int) -> list[Found]:
    """Both metrics of generated images (N, D) in one of SPACES. `seed`: of the choice of equally many real images."""
    pool, m = real.balanced(seed)
    closest, _ = nearest(generated, pool)
    is_training = (closest < m).astype(np.float64)
    share = float(is_training.mean())
    # generated images with the same nearest image are no independent witnesses: the real images are the clusters
    counts = np.bincount(closest, minlength=len(pool)).astype(np.float64)
    of_training = (np.arange(len(pool)) < m).astype(np.float64)
    error = float(np.sqrt((counts**2 * (of_training - share) ** 2).sum()) / len(generated))
    _, distances = nearest(generated, real.train)
    _, usual = nearest(real.held_out, real.train)
    farther, beyond = _shares_below(distances, usual), 1 - _shares_below(usual, distances)
    spread = float(np.sqrt(farther.var(ddof=1) / len(farther) + beyond.var(ddof=1) / len(beyond)))
    where = f"in {space}"
    return [
        Found(
            f"nearest_is_training{SPACES[space]}",
            f"Nearest real image is a training image, {where}",
            is_training,
            normal_interval(share, error),
            "95% normal interval, generated images clustered by their nearest real image",
        ),
        Found(
            f"farther_than_held_out{SPACES[space]}",
            f"Farther from the training images than held-out images are, {where}",
            farther,
            normal_interval(float(farther.mean()), spread),
            "95% normal interval over generated and held-out images (DeLong et al. 1988)",
        ),
    ]


def nearest(x: NDArray, y: NDArray) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Of each x (N, D) the index of the nearest y (M, D), and its squared distance, in float32 about y's mean."""
    middle = y.mean(axis=0, dtype=np.float64).astype(np.float32)
    x, y = x.astype(np.float32) - middle, y.astype(np.float32) - middle
    index, distance = [], []
    for start in range(0, len(x), BLOCK):
        rows = x[start : start + BLOCK]
        apart = (y**2).sum(1) - 2 * (rows @ y.T)
        index.append(apart.argmin(axis=1))
        distance.append(apart.min(axis=1) + (rows**2).sum(1))
    return np.concatenate(index), np.concatenate(distance)


def thumbnails(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(N, D) brightness of (N, H, W, 3) images, in [0, 255]; larger ones are averaged down to SIDE x SIDE pixels."""
    import torch
    from torch.nn.functional import adaptive_avg_pool2d

    grey = torch.from_numpy(images.mean(axis=3, dtype=np.float32))
    small = grey if grey.shape[-1] <= SIDE else adaptive_avg_pool2d(grey, SIDE)
    return small.flatten(1).numpy()


def real_neighbours(
    judge: FeatureJudge, unseen: Samples, train: Samples, held_out: Samples
) -> RealNeighbours:
    """Vectors of at most KEPT images of each kind, all with labels. `unseen`: training images that the judge was not trained
    on, for its features; `train`: all of them, for the pixels.
    """
    new, old, known = _kept(held_out), _kept(train), _kept(unseen)

    def pair(first: Samples, vectors: Callable[[Samples], NDArray]) -> RealPair:
        assert first.labels is not None
        assert new.labels is not None
        return RealPair(vectors(first), first.labels, vectors(new), new.labels)

    return {
        "features": pair(known, lambda samples: extract(judge, samples).features),
        "pixels": pair(old, lambda samples: thumbnails(samples.images)),
    }


def _kept(samples: Samples) -> Samples:
    """At most KEPT of them, of each class its share."""
    assert samples.labels is not None
    order = samples.labels.argsort(kind="stable")
    return samples.part(order[np.linspace(0, len(order) - 1, min(KEPT, len(order))).astype(np.int64)])


def write_neighbours(path: Path, neighbours: RealNeighbours) -> None:
    """An npz file with arrays SPACE_train, SPACE_train_labels, SPACE_held_out, SPACE_held_out_labels."""
    arrays: dict[str, Any] = {}
    for space, pair in neighbours.items():
        arrays |= {f"{space}_{name}": getattr(pair, name) for name in ARRAYS}
    with replacing(path) as partial, partial.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def read_neighbours(path: Path) -> RealNeighbours:
    """UserError where the file lacks an array."""
    wanted = [f"{space}_{name}" for space in SPACES for name in ARRAYS]
    arrays, _ = read_npz(path, wanted, "run the stage that makes the judges again")
    if missing := [name for name in wanted if name not in arrays]:
        raise UserError(f"{path}: no {missing[0]} in it: run the stage that makes the judges again")
    return {space: RealPair(*(arrays[f"{space}_{name}"] for name in ARRAYS)) for space in SPACES}


def _shares_below(values: NDArray, others: NDArray) -> NDArray[np.float64]:
    """(N,) of each value the share of `others` that it exceeds, ties by half."""
    ordered = np.sort(others)
    below, upto = np.searchsorted(ordered, values), np.searchsorted(ordered, values, side="right")
    return (below + upto) / (2 * len(ordered))
