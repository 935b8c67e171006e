"""Images drawn in batches, each kept beside the checkpoints when it is done: an interrupted run goes on from them.

Several processes deal out what is missing; all must have looked before the first of them adds to it.

A batch is the seed of the model that draws it and the indices of its images, which decide their randomness.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from marval.artifacts import is_sealed, replacing, seal
from marval.progress import Progress

Batch = tuple[int, range]
Draw = Callable[[range], np.ndarray]  # indices -> uint8 (B, H, W, 3)


def batches_of(seeds: Iterable[int], images: int, size: int) -> list[Batch]:
    """All batches of `images` images for each seed."""
    return [(seed, range(k, min(k + size, images))) for seed in seeds for k in range(0, images, size)]


def missing(folder: Path, batches: Sequence[Batch]) -> list[Batch]:
    """Those that no earlier run has left."""
    return [batch for batch in batches if not is_sealed(_path(folder, *batch))]


def keep(
    folder: Path, batches: Sequence[Batch], draw_with: Callable[[int], Draw], progress: Progress
) -> None:
    """Draw and keep these. `draw_with`: of a seed what draws with its model; asked once for consecutive batches."""
    last, draw = None, None
    for seed, indices in batches:
        if draw is None or seed != last:
            last, draw = seed, draw_with(seed)
        path = _path(folder, seed, indices)
        with replacing(path) as temporary:
            np.save(temporary, draw(indices))
        seal(path)
        progress.advance(len(indices))


def collect(folder: Path, batches: Sequence[Batch]) -> np.ndarray:
    """All images in one array; 50,000 of 256x256 are 10 GB, so no second copy is made."""
    parts = [np.load(_path(folder, *batch), mmap_mode="r") for batch in batches]
    pixels = np.empty((sum(map(len, parts)), *parts[0].shape[1:]), dtype=np.uint8)
    return np.concatenate(parts, out=pixels)


def _path(folder: Path, seed: int, indices: range) -> Path:
    return folder / f"seed-{seed}-{indices.start:06d}.npy"
