"""Real images for reference statistics: a batch file, a folder or a data set, in batches that memory need not hold together."""

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from metrics.dataset import is_dataset, open_dataset
from metrics.errors import UserError
from metrics.pictures import Damaged, Picture, decode, folder_labels, image_files
from metrics.samples import check_size, read_samples

DAMAGED_LIMIT = 100  # more unreadable images than this are no accident
NO_CROP = "none"

Batch = tuple[NDArray[np.uint8], NDArray[np.int64] | None]  # (B, H, W, 3) images and (B,) labels


class RealImages(Protocol):
    """Images to take statistics of. `left_out` names the damaged ones, once the batches have been read."""

    source: str
    crop: str
    left_out: list[str]

    def batches(self, size: int) -> Iterator[Batch]: ...


@dataclass
class ArrayImages:
    """Images that are there already: (N, H, W, 3) uint8 and (N,) labels."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64] | None
    source: str = "the reference images"
    crop: str = NO_CROP
    left_out: list[str] = field(default_factory=list)

    def batches(self, size: int) -> Iterator[Batch]:
        """All images in order, `size` at a time."""
        for start in range(0, len(self.images), size):
            part = slice(start, start + size)
            yield self.images[part], None if self.labels is None else self.labels[part]


class PictureImages:
    """Pictures decoded when their batch comes; damaged ones are left out and named, up to DAMAGED_LIMIT."""

    def __init__(self, source: str, pictures: Iterable[Picture], crop: int | None) -> None:
        self.source, self.pictures, self.size = source, pictures, crop
        self.crop = NO_CROP if crop is None else f"adm-{crop}"
        self.left_out: list[str] = []

    def batches(self, size: int) -> Iterator[Batch]:
        """All images that can be read, in order, up to `size` at a time."""
        pictures, first = iter(self.pictures), None
        with ThreadPoolExecutor(os.cpu_count()) as pool:  # Pillow decodes outside the interpreter's lock
            while group := list(islice(pictures, size)):
                images, labels = [], []
                for picture, pixels in zip(group, pool.map(self._decode, group), strict=True):
                    if isinstance(pixels, Damaged):
                        self._leave_out(picture, pixels)
                        continue
                    first = pixels if first is None else first
                    check_size(picture.name, pixels, first)
                    images.append(pixels)
                    labels.append(picture.label)
                if images:
                    yield np.stack(images), None if min(labels) < 0 else np.array(labels, np.int64)

    def _decode(self, picture: Picture) -> NDArray[np.uint8] | Damaged:
        try:
            return decode(picture, self.size)
        except Damaged as error:
            return error

    def _leave_out(self, picture: Picture, reason: Damaged) -> None:
        self.left_out.append(f"{picture.name} ({reason})")
        if len(self.left_out) > DAMAGED_LIMIT:
            raise UserError(
                f"{self.source}: more than {DAMAGED_LIMIT} damaged images, first {self.left_out[0]}: check the files"
            )


def open_real(text: str, crop: int | None = None) -> RealImages:
    """What `python -m metrics statistics` takes: an npz batch, a folder of images, or a data set (see metrics.dataset).

    crop: pixels; images are made RGB and cropped as ADM does. Without it they must be RGB and of one size.
    """
    if is_dataset(text):
        return PictureImages(text, open_dataset(text), crop)
    path = Path(text)
    if not path.exists():
        raise UserError(
            f"{text}: no such file or folder: give an npz batch, a folder of images or of a saved data set, or hf:NAME:SPLIT"
        )
    if path.is_dir():
        return PictureImages(text, _folder(path), crop)
    if crop is not None:
        raise UserError(f"{path}: the images of a batch file have one size already: leave --crop out")
    samples = read_samples(path)
    return ArrayImages(samples.images, samples.labels, text)


def _folder(folder: Path) -> Iterator[Picture]:
    from PIL import Image

    files = image_files(folder)
    labels = folder_labels(folder, files)
    for index, file in enumerate(files):
        yield Picture(str(file), partial(Image.open, file), -1 if labels is None else int(labels[index]))
