"""Handwritten digits, coarse: the 1,797 scans of 8x8 pixels that scikit-learn ships (UCI optical recognition, test part)."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from marval.data.sources.arrays import DIGIT_NAMES, ArraySource, LabelledImages, hold_out
from marval.data.sources.base import Counts

IMAGES = 1_797


class Digits8(ArraySource):
    """Section `prepare` for the coarse digits: few and quickly loaded, for tests of the machinery."""

    names: ClassVar[tuple[str, ...]] = DIGIT_NAMES
    data: Literal["digits8"]
    size: int = Field(32, ge=8, le=256, description="side to which the scans are resampled, pixels")
    test_fraction: float = Field(0.25, gt=0, lt=1)

    def counts(self, classes: int) -> Counts:
        held_out = math.ceil(IMAGES * self.test_fraction)
        return Counts(IMAGES - held_out, held_out, "the scans that scikit-learn ships")

    def load(self) -> tuple[LabelledImages, LabelledImages]:
        from sklearn.datasets import load_digits

        scans = load_digits()
        images = np.stack([resample(scan, self.size) for scan in scans.images])
        return hold_out(LabelledImages(images, scans.target.astype(np.int64)), self.test_fraction, self.seed)


def resample(scan: np.ndarray, size: int) -> np.ndarray:
    """A scan of ink 0 ... 16 `(8, 8)` -> uint8 RGB `(size, size, 3)`, white ink on black, bicubic."""
    from PIL import Image

    pixels = np.round(scan / 16 * 255).astype(np.uint8)
    grey = np.asarray(Image.fromarray(pixels).resize((size, size), Image.Resampling.BICUBIC))
    return np.repeat(grey[..., None], 3, axis=-1)
