"""The training images, whatever they come from: by index, without holding more than is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from marval.artifacts import read_npz
from marval.data.digits import DigitsConfig


@dataclass(frozen=True)
class ImageSet:
    """Square RGB images with what is known of each."""

    labels: np.ndarray  # int64 (n,)
    half: np.ndarray  # int8 (n,): 0 for the training reward, 1 for the evaluation networks
    content: np.ndarray  # int64 (n,): equal for images that are the same file; numbered by first appearance
    images: Callable[[np.ndarray], np.ndarray]  # indices (m,) in any order -> uint8 (m, H, W, 3)

    def __len__(self) -> int:
        return len(self.labels)


def open_images(folder: Path, config: DigitsConfig) -> ImageSet:
    """The training images that `prepare` left in `folder`, results/PRESET/data; `config` is its section."""
    return _open_arrays(folder / "train.npz")


def _open_arrays(path: Path) -> ImageSet:
    """The arrays that `prepare` wrote."""
    arrays = read_npz(path)
    images = arrays["arr_0"]
    return ImageSet(
        arrays["arr_1"], arrays["half"], numbered([i.tobytes() for i in images]), images.__getitem__
    )


def numbered(values: list[bytes] | list[str] | pa.Array) -> np.ndarray:
    """Equal values get equal numbers, 0, 1, ... in order of first appearance; int64 `(n,)`."""
    return pa.array(values).dictionary_encode().indices.to_numpy().astype(np.int64)
