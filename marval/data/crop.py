"""ADM's centre crop: how the evaluation's reference statistics and the published models see ImageNet."""

from __future__ import annotations

import numpy as np
from PIL import Image


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
