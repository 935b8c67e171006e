"""The training images as the other stages see them: by index, whatever they come from.

The stage `prepare` leaves one file, `train.parquet`: either the pixels themselves, or an index of image files that stay where
they are. Both have the columns label and half (null where an image is not trained on).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from marval.artifacts import reading, replacing
from marval.data.collection import Reader, read_images
from marval.data.index import numbered, read_used

if TYPE_CHECKING:
    from marval.data.sources.base import Source

TRAIN = "train.parquet"


@dataclass(frozen=True)
class ImageSet:
    """Square RGB images with what is known of each."""

    labels: np.ndarray  # int64 (n,)
    half: np.ndarray  # int8 (n,): 0 for the training reward, 1 for the evaluation networks
    content: np.ndarray  # int64 (n,): equal for images that are the same file; numbered by first appearance
    images: Callable[[np.ndarray], np.ndarray]  # indices (m,) in any order -> uint8 (m, H, W, 3)

    def __len__(self) -> int:
        return len(self.labels)


def write_pixels(path: Path, images: np.ndarray, labels: np.ndarray, half: np.ndarray) -> None:
    """`images` uint8 `(n, H, H, 3)`, `labels` int64 `(n,)`, `half` int8 `(n,)` in 0, 1."""
    row = pa.binary(images[0].size)
    buffers = [None, pa.py_buffer(np.ascontiguousarray(images))]
    pixels = pa.FixedSizeBinaryArray.from_buffers(row, len(images), buffers)
    table = pa.table({"pixels": pixels, "label": pa.array(labels), "half": pa.array(half)})
    with replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", use_dictionary=False)


def open_training(folder: Path, source: Source) -> ImageSet:
    """The training images, from what `prepare` left in `folder`; files are read by way of their `source`, and checked."""
    path = folder / TRAIN
    if "pixels" in read_columns(path):
        return open_pixels(path)
    return open_index(path, source.reader(), source.size)


def read_columns(path: Path) -> list[str]:
    """Names of the columns of train.parquet."""
    with reading(path):
        return pq.read_schema(path).names


def open_pixels(path: Path) -> ImageSet:
    """What `write_pixels` wrote, in memory."""
    with reading(path):
        table = pq.read_table(path).combine_chunks()
        (pixels,) = table["pixels"].chunks
    side = math.isqrt(pixels.type.byte_width // 3)
    images = np.frombuffer(pixels.buffers()[1], np.uint8).reshape(-1, side, side, 3)
    labels, half = table["label"].to_numpy(), table["half"].to_numpy()
    return ImageSet(labels, half, numbered(pixels), images.__getitem__)


def open_index(path: Path, reader: Reader, size: int) -> ImageSet:
    """The images of an index that are trained on, read and cropped to `size` when they are asked for."""
    table = read_used(path)
    places, sha256 = table["image"], table["sha256"]

    def images(indices: np.ndarray) -> np.ndarray:
        wanted = places.take(indices).to_pylist(), sha256.take(indices).to_pylist()
        return read_images(reader, *wanted, size)

    labels, half = table["label"].to_numpy(), table["half"].to_numpy()
    return ImageSet(labels, half, numbered(sha256.combine_chunks()), images)


def count_training(path: Path) -> int:
    """How many images of either kind of file are trained on."""
    with reading(path):
        half = pq.read_table(path, columns=["half"])["half"]
    return len(half) - half.null_count
