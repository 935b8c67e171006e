"""Image files as arrays: decoding with errors that name the image, ADM's centre crop, and the folders that hold them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from metrics.errors import UserError

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")


class Damaged(Exception):
    """An image that cannot be decoded; the message says why."""


@dataclass(frozen=True)
class Picture:
    """An image that is not decoded yet; label -1: unknown."""

    name: str
    opened: "Callable[[], Image.Image]"
    label: int = -1


def image_files(folder: Path) -> list[Path]:
    """All images below `folder` by sorted path; UserError where there is none."""
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES)
    if not files:
        raise UserError(f"{folder}: no images ({', '.join(SUFFIXES)}) in the folder: check the path")
    return files


def folder_labels(folder: Path, files: list[Path]) -> NDArray[np.int64] | None:
    """Index of each image's class folder in sorted order; None where an image lies outside of them."""
    classes = [file.relative_to(folder).parts[0] for file in files]
    if any(file.parent == folder for file in files):
        return None
    order = {name: index for index, name in enumerate(sorted(set(classes)))}
    return np.array([order[name] for name in classes], np.int64)


def decode(picture: Picture, crop: int | None = None) -> NDArray[np.uint8]:
    """(H, W, 3) bytes of one image; with `crop` made RGB and cropped to `crop` x `crop` as ADM does.

    Raises Damaged where it cannot be decoded, UserError where it is not RGB and not to be cropped.
    """
    from PIL import Image

    try:
        with picture.opened() as image:
            pixels = np.asarray(image if crop is None else centre_crop(image.convert("RGB"), crop))
            mode = image.mode
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise Damaged(str(error) or type(error).__name__) from error
    if crop is None and mode != "RGB":
        raise UserError(
            f"{picture.name}: image mode is {mode}, not RGB: convert it, or take it out (for reference statistics --crop "
            "converts)"
        )
    return pixels


def centre_crop(image: "Image.Image", size: int) -> "Image.Image":
    """The middle `size` x `size` of the image once its shorter side is `size`, as ADM (and MAR after it) crops ImageNet.

    Halved by box averages while the shorter side is at least twice `size`, then resized by bicubic interpolation.
    """
    from PIL import Image

    while min(image.size) >= 2 * size:
        image = image.resize((image.width // 2, image.height // 2), Image.Resampling.BOX)
    scale = size / min(image.size)
    image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)
    left, top = (image.width - size) // 2, (image.height - size) // 2
    return image.crop((left, top, left + size, top + size))
