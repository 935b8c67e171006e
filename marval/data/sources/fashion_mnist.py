"""Photographs of ten kinds of clothing: Fashion-MNIST, 60,000 to train on and 10,000 held out, 28x28 pixels, grey.

Four files in a folder, which Debian packages; where they are not, the same images from the hub. Either way the content has to be
the original one, by its md5. Licence: MIT. Source: Xiao, Rasul, Vollgraf, arXiv 1708.07747.
"""

from __future__ import annotations

import gzip
import hashlib
import logging
import struct
import zlib
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from marval.data.sources.arrays import ArraySource, LabelledImages, pad
from marval.data.sources.base import Counts
from marval.errors import UserError

DEBIAN_FOLDER = "/usr/share/datasets/fashion-mnist"
HUB = "zalando-datasets/fashion_mnist"
MD5 = {  # of the files' uncompressed content
    "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
    "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
    "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
    "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
}
SIDE = 28


class FashionMnist(ArraySource):
    """Section `prepare` for Fashion-MNIST."""

    names: ClassVar[tuple[str, ...]] = (
        *("T-shirt/top", "trouser", "pullover", "dress", "coat"),
        *("sandal", "shirt", "sneaker", "bag", "ankle boot"),
    )
    data: Literal["fashion-mnist"]
    folder: str = Field(DEBIAN_FOLDER, description="holds the four .gz files; else the hub is asked")
    size: int = Field(
        32, ge=SIDE, le=256, description="side of the black square around each photograph, pixels"
    )
    train: int = Field(6_000, gt=1, le=6_000, description="images of each class to train on")
    held_out: int = Field(1_000, gt=0, le=1_000, description="images of each class that are held out")

    def counts(self, classes: int) -> Counts:
        return Counts(10 * self.train, 10 * self.held_out, "so many of Fashion-MNIST's")

    def load(self) -> tuple[LabelledImages, LabelledImages]:
        contents = self._contents()
        return self._part(contents, "train", self.train), self._part(contents, "t10k", self.held_out)

    def _contents(self) -> dict[str, bytes]:
        """The four files by name, uncompressed and checked."""
        folder = Path(self.folder).expanduser()
        if lacking := [f"{name}.gz" for name in MD5 if not (folder / f"{name}.gz").is_file()]:
            logging.getLogger("marval").info("%s has no %s: reading %s", folder, lacking[0], HUB)
            contents, origin = _from_hub(folder, lacking[0]), f"{HUB} on the hub"
        else:
            contents, origin = {name: _unpacked(folder / f"{name}.gz") for name in MD5}, str(folder)
        for name, content in contents.items():
            if (found := hashlib.md5(content).hexdigest()) != MD5[name]:
                raise UserError(
                    f"{name} of {origin} is not Fashion-MNIST's: its content has md5 {found}, not {MD5[name]}; {WAYS}"
                )
        return contents

    def _part(self, contents: dict[str, bytes], part: str, of_each_class: int) -> LabelledImages:
        from marval.data.index import choose

        pixels, labels = (
            from_idx(contents[f"{part}-{kind}"]) for kind in ("images-idx3-ubyte", "labels-idx1-ubyte")
        )
        chosen = choose(labels, np.ones(len(labels), dtype=bool), of_each_class, self.seed)
        return LabelledImages(pad(pixels[chosen], self.size), labels[chosen].astype(np.int64))


WAYS = (
    "get it by `apt install dataset-fashion-mnist`, or put the four .gz files of "
    "https://github.com/zalandoresearch/fashion-mnist into a folder and name it as prepare.folder, or go online once: "
    f"`datasets` then keeps {HUB}"
)


def _unpacked(path: Path) -> bytes:
    try:
        return gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path} cannot be read ({error}); {WAYS}") from error


def _from_hub(folder: Path, lacking: str) -> dict[str, bytes]:
    try:
        return hub_contents(HUB)
    except Exception as error:  # of the library and of those below it: many kinds
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(
            f"prepare.data is fashion-mnist, but {folder} has no {lacking} and the hub cannot be read ({reason}); {WAYS}"
        ) from error


def hub_contents(name: str) -> dict[str, bytes]:
    """What the four files hold, made of the data set `name` of the hub, or of a local folder: columns image and label."""
    from datasets import load_dataset

    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # it reports every attempt to connect
    contents = {}
    for part, split in (("train", "train"), ("t10k", "test")):
        rows = load_dataset(name, split=split)
        pixels = np.stack([np.asarray(image) for image in rows["image"]])
        contents[f"{part}-images-idx3-ubyte"] = to_idx(pixels)
        contents[f"{part}-labels-idx1-ubyte"] = to_idx(np.array(rows["label"], dtype=np.uint8))
    return contents


def to_idx(array: np.ndarray) -> bytes:
    """MNIST's file format for bytes: 0, 0, 8, number of dimensions, their lengths as big-endian uint32, values."""
    return struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def from_idx(content: bytes) -> np.ndarray:
    """The array uint8 in a file of that format."""
    shape = struct.unpack_from(f">{content[3]}I", content, 4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * len(shape)).reshape(shape)
