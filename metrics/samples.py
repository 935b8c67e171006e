"""Batches of sample images: an ADM-style npz (arr_0, arr_1), or a folder of images; both checked on the way
in.
"""

from dataclasses import dataclass
from functools import cached_property, partial
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from metrics.errors import UserError
from metrics.npz import read_npz
from metrics.pictures import Damaged, Picture, decode, folder_labels, image_files

MOST_CLASSES = 100_000
MOST_SETS = 1_000


@dataclass(frozen=True)
class Samples:
    """images: (N, H, W, 3) uint8; labels: (N,) int64, or None where unknown; seed: (N,) int64, the model that
    made it; sets: of how many sets of equal size, one after the other, each seed's images consist.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64] | None
    seed: NDArray[np.int64]
    source: str = "the samples"
    sets: int = 1

    def __post_init__(self) -> None:
        images = self.images
        if images.dtype != np.uint8:
            raise UserError(
                f"{self.source}: images are {images.dtype}, not bytes: round them to uint8 in [0, 255]"
            )
        if images.ndim != 4 or images.shape[-1] != 3 or 0 in images.shape[1:]:
            raise UserError(
                f"{self.source}: images have shape {images.shape}, not (N, H, W, 3): convert them to RGB"
            )
        for name, array in (("labels", self.labels), ("seed", self.seed)):
            if array is not None and array.shape != (len(images),):
                raise UserError(
                    f"{self.source}: {name} has shape {array.shape}, not ({len(images)},): one for each image"
                )

    @property
    def seeds(self) -> list[int]:
        return [int(seed) for seed in np.unique(self.seed)]

    def of_seed(self, seed: int) -> "Samples":
        """The images that one seed's model made."""
        index = np.flatnonzero(self.seed == seed)
        first, last = int(index[0]), int(index[-1])
        return self.part(slice(first, last + 1) if last - first + 1 == len(index) else index)

    def part(self, index: slice | NDArray[np.int64]) -> "Samples":
        """Some of the images; a slice copies nothing."""
        labels = None if self.labels is None else self.labels[index]
        return Samples(self.images[index], labels, self.seed[index], self.source, self.sets)

    @cached_property
    def sha256(self) -> str:
        """Hash of the images alone (their shape and bytes)."""
        digest = sha256(str(self.images.shape).encode())
        digest.update(np.ascontiguousarray(self.images).data)
        return digest.hexdigest()


def read_samples(path: str | Path) -> Samples:
    """Read an npz batch or a folder of images (recursively, by sorted path; labels from class folders, if
    there are).

    Images that the npz holds uncompressed are mapped into memory, not copied.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(
            f"{path}: no such file or folder: give an npz batch (arr_0, arr_1) or a folder of images"
        )
    samples = _read_folder(path) if path.is_dir() else _read_npz(path)
    if len(samples.images) < 2:
        raise UserError(f"{path}: {len(samples.images)} images: statistics need at least two")
    return samples


def _read_npz(path: Path) -> Samples:
    arrays, names = read_npz(path, ("arr_0", "arr_1", "seed", "set"), "write it with numpy.savez")
    if "arr_0" not in arrays:
        raise UserError(
            f"{path}: no array arr_0 (it has: {', '.join(names)}): a sample batch keeps its images there"
        )
    images = arrays["arr_0"]
    labels = whole_numbers(arrays["arr_1"], MOST_CLASSES, f"{path}: arr_1") if "arr_1" in arrays else None
    seed = (
        whole_numbers(arrays["seed"], 2**63, f"{path}: seed")
        if "seed" in arrays
        else np.zeros(images.shape[:1], np.int64)
    )
    sets = _count_sets(arrays["set"], seed, f"{path}: set") if "set" in arrays else 1
    return Samples(images, labels, seed, str(path), sets)


def _count_sets(array: NDArray, seed: NDArray[np.int64], where: str) -> int:
    """How many sets each seed has; `array` has the number of each image's set, 0, 1, ..."""
    numbers = whole_numbers(array, MOST_SETS, where)
    count = int(numbers.max(initial=0)) + 1
    if numbers.shape == seed.shape:
        by_seed = [numbers[seed == one] for one in np.unique(seed)]
        if all(np.array_equal(of, np.repeat(np.arange(count), len(of) // count)) for of in by_seed):
            return count
    raise UserError(
        f"{where} does not number sets of equal size, one after the other, for each seed: correct it or leave it out"
    )


def whole_numbers(array: NDArray, limit: int, where: str) -> NDArray[np.int64]:
    """The array as int64; UserError unless it holds integers from 0 to below `limit`."""
    if array.dtype.kind not in "iu":
        raise UserError(f"{where} is {array.dtype}, not whole numbers: write it as integers")
    if array.size and not 0 <= int(array.min()) <= int(array.max()) < limit:
        raise UserError(
            f"{where} has {array.min()} to {array.max()}, not numbers from 0 to {limit - 1}: correct it"
        )
    return array.astype(np.int64)


def _read_folder(folder: Path) -> Samples:
    from PIL import Image

    files = image_files(folder)
    images = []
    for file in files:
        try:
            images.append(decode(Picture(str(file), partial(Image.open, file))))
        except Damaged as error:
            raise UserError(
                f"{file}: not a readable image ({error}): take it out or write it again"
            ) from error
        check_size(str(file), images[-1], images[0])
    return Samples(
        np.stack(images), folder_labels(folder, files), np.zeros(len(files), np.int64), str(folder)
    )


def check_size(name: str, image: NDArray[np.uint8], first: NDArray[np.uint8]) -> None:
    """Refuse an image of another size than the first one."""
    if image.shape != first.shape:
        raise UserError(
            f"{name}: {image.shape[1]} x {image.shape[0]} pixels, but the first image has {first.shape[1]} x {first.shape[0]}: "
            "crop and resize all images to one size first"
        )
