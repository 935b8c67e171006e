"""From the bytes of an image file to pixels; what the name says of the format does not matter."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, UnidentifiedImageError

from marval.data.crop import centre_crop


def decode(content: bytes) -> Image.Image:
    """The whole image as RGB: grey and CMYK are converted, EXIF's orientation is ignored, as ADM does.

    Raises whatever Pillow raises for bytes that are not an image, or not all of one.
    """
    with Image.open(io.BytesIO(content)) as image:
        return image.convert("RGB")


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
