"""Batches of sample images: an ADM-style npz (arr_0, arr_1), or a folder of images; both checked on the way
in.
"""

import zipfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from metrics.errors import UserError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")


@dataclass(frozen=True)
class Samples:
    """images: (N, H, W, 3) uint8; labels: (N,) int64, or None where unknown; seed: (N,) int64, the model that
    made it.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64] | None
    seed: NDArray[np.int64]
    source: str = "the samples"

    def __post_init__(self) -> None:
        images = self.images
        if images.dtype != np.uint8:
            raise UserError(
                f"{self.source}: images are {images.dtype}, not bytes: round them to uint8 in [0, 255]"
            )
        if images.ndim != 4 or images.shape[-1] != 3:
            raise UserError(
                f"{self.source}: images have shape {images.shape}, not (N, H, W, 3): convert them to RGB"
            )
        if len(images) < 2:
            raise UserError(f"{self.source}: {len(images)} images: statistics need at least two")
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
        mine = self.seed == seed
        labels = None if self.labels is None else self.labels[mine]
        return Samples(self.images[mine], labels, self.seed[mine], self.source)

    def sha256(self) -> str:
        """Hash of the images alone (their shape and bytes)."""
        digest = sha256(str(self.images.shape).encode())
        digest.update(np.ascontiguousarray(self.images).data)
        return digest.hexdigest()


def read_samples(path: str | Path) -> Samples:
    """Read an npz batch or a folder of images (recursively, by sorted path; labels from class folders, if
    there are).
    """
    path = Path(path)
    if path.is_dir():
        return _read_folder(path)
    if not path.is_file():
        raise UserError(
            f"{path}: no such file or folder: give an npz batch (arr_0, arr_1) or a folder of images"
        )
    return _read_npz(path)


def _read_npz(path: Path) -> Samples:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in ("arr_0", "arr_1", "seed") if name in file.files}
            names = ", ".join(file.files)
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        raise UserError(
            f"{path}: not a readable npz file of plain arrays: write it with numpy.savez"
        ) from error
    if "arr_0" not in arrays:
        raise UserError(f"{path}: no array arr_0 (it has: {names}): a sample batch keeps its images there")
    images = arrays["arr_0"]
    labels = arrays["arr_1"].astype(np.int64) if "arr_1" in arrays else None
    seed = arrays["seed"].astype(np.int64) if "seed" in arrays else np.zeros(len(images), np.int64)
    return Samples(images, labels, seed, str(path))


def _read_folder(folder: Path) -> Samples:
    from PIL import Image

    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in IMAGE_SUFFIXES)
    if not files:
        raise UserError(f"{folder}: no images ({', '.join(IMAGE_SUFFIXES)}) in the folder: check the path")
    images = []
    for file in files:
        with Image.open(file) as image:
            if image.mode != "RGB":
                raise UserError(
                    f"{file}: image mode is {image.mode}, not RGB: convert it, or take it out of the folder"
                )
            images.append(np.asarray(image))
        if images[-1].shape != images[0].shape:
            raise UserError(
                f"{file}: {images[-1].shape[1]} x {images[-1].shape[0]} pixels, but {files[0].name} has "
                f"{images[0].shape[1]} x {images[0].shape[0]}: crop and resize all images to one size first"
            )
    return Samples(
        np.stack(images), _folder_labels(folder, files), np.zeros(len(files), np.int64), str(folder)
    )


def _folder_labels(folder: Path, files: list[Path]) -> NDArray[np.int64] | None:
    """Index of each image's class folder in sorted order; None where an image lies outside of them."""
    classes = [file.relative_to(folder).parts[0] for file in files]
    if any(file.parent == folder for file in files):
        return None
    order = {name: index for index, name in enumerate(sorted(set(classes)))}
    return np.array([order[name] for name in classes], np.int64)
