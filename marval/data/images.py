"""The training images, whatever they come from: by index, without holding more than is asked for."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from marval.artifacts import read_npz
from marval.data.collection import Reader
from marval.data.decoding import pixels
from marval.data.digits import DigitsConfig
from marval.data.hub import HubConfig, hub_reader
from marval.data.image_folder import ImageFolderConfig, folder_reader
from marval.data.index import numbered, read_used
from marval.errors import UserError


@dataclass(frozen=True)
class ImageSet:
    """Square RGB images with what is known of each."""

    labels: np.ndarray  # int64 (n,)
    half: np.ndarray  # int8 (n,): 0 for the training reward, 1 for the evaluation networks
    content: np.ndarray  # int64 (n,): equal for images that are the same file; numbered by first appearance
    images: Callable[[np.ndarray], np.ndarray]  # indices (m,) in any order -> uint8 (m, H, W, 3)

    def __len__(self) -> int:
        return len(self.labels)


def open_images(folder: Path, config: DigitsConfig | ImageFolderConfig | HubConfig) -> ImageSet:
    """The training images that `prepare` left in `folder`, results/PRESET/data; `config` is its section of the preset."""
    if isinstance(config, DigitsConfig):
        return _open_arrays(folder / "train.npz")
    reader: Reader = hub_reader(config) if isinstance(config, HubConfig) else folder_reader(config)
    return _open_index(folder / "train.parquet", reader, config.size)


def _open_arrays(path: Path) -> ImageSet:
    arrays = read_npz(path)
    images = arrays["arr_0"]
    content = numbered([image.tobytes() for image in images])
    return ImageSet(arrays["arr_1"], arrays["half"], content, images.__getitem__)


def _open_index(path: Path, reader: Reader, size: int) -> ImageSet:
    table = read_used(path)
    places, sha256 = table["image"], table["sha256"]

    def images(indices: np.ndarray) -> np.ndarray:
        wanted = places.take(indices).to_pylist(), sha256.take(indices).to_pylist()
        return read_images(reader, *wanted, size)

    labels, half = table["label"].to_numpy(), table["half"].to_numpy()
    return ImageSet(labels, half, numbered(sha256.combine_chunks()), images)


def read_images(reader: Reader, places: Sequence[str], sha256: Sequence[str | None], size: int) -> np.ndarray:
    """Centre crops uint8 `(m, size, size, 3)`; UserError where a file is no longer the one that was checked."""

    def one(place: str, expected: str | None) -> np.ndarray:
        try:
            content = reader.read(place)
        except OSError as error:
            raise UserError(
                f"{place} of the training images cannot be read: {error.strerror or error}"
            ) from error
        if hashlib.sha256(content).hexdigest() != expected:
            raise UserError(
                f"{place} of the training images has changed since the stage prepare: run it again"
            )
        return pixels(content, size)

    # decoding leaves the interpreter free for the other threads
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as threads:
        return np.stack(list(threads.map(one, places, sha256)))
