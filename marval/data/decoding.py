"""From the bytes of an image file to pixels: decoded whole, and cropped as ADM crops ImageNet.

The crop is the one that the evaluation's reference statistics and the published models have seen.
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, UnidentifiedImageError


def decode(content: bytes) -> Image.Image:
    """The whole image as RGB: grey and CMYK are converted, EXIF's orientation is ignored, as ADM does.

    The format is recognised by the content, not by the file's name. Raises whatever Pillow raises for bytes that are not an
    image, or not all of one.
    """
    with Image.open(io.BytesIO(content)) as image:
        return image.convert("RGB")


def centre_crop(image: Image.Image, size: int) -> np.ndarray:
    """The central square of an RGB image, its short side brought to `size`: uint8 `(size, size, 3)`.

    Halved by a box filter as long as it is at least twice too large (odd rows and columns are rounded away), then bicubic to the
    size; where the margin is odd, the smaller half of it is cut off at the top and at the left.
    Source: guided-diffusion, `image_datasets.py`.
    """
    while min(image.size) >= 2 * size:
        image = image.resize((image.width // 2, image.height // 2), Image.Resampling.BOX)
    scale = size / min(image.size)
    image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)
    left, top = (image.width - size) // 2, (image.height - size) // 2
    return np.asarray(image.crop((left, top, left + size, top + size)))


def pixels(content: bytes, size: int) -> np.ndarray:
    """The centre crop of an image file, uint8 `(size, size, 3)`."""
    return centre_crop(decode(content), size)


def problem(content: bytes) -> str | None:
    """Why an image file cannot be used, in a few words; None for a good one."""
    try:
        decode(content)
    except UnidentifiedImageError:
        return "not an image"
    except Exception as error:  # every decoder has exceptions of its own
        return " ".join(str(error).split()) or type(error).__name__
    return None
