"""Real handwritten digits: the 1,797 scans of 8x8 pixels that scikit-learn ships (UCI optical recognition, test part)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import Field

from marval.config import Config

NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


class DigitsConfig(Config):
    """Section `prepare` for the digits."""

    data: Literal["digits"]
    size: int = Field(ge=8, le=256, description="side to which the scans are resampled, pixels")
    test_fraction: float = Field(gt=0, lt=1)
    seed: int = Field(ge=0)


@dataclass(frozen=True)
class LabelledImages:
    """uint8 RGB `(n, H, W, 3)` and int64 labels `(n,)`."""

    images: np.ndarray
    labels: np.ndarray


def load_digits_split(config: DigitsConfig) -> tuple[LabelledImages, LabelledImages, np.ndarray]:
    """(train, test, half of each training image: 0 for the training reward, 1 for the evaluation networks).

    Splits are stratified by class and shuffled by the seed.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    scans = load_digits()
    images = np.stack([resample(scan, config.size) for scan in scans.images])
    labels = scans.target.astype(np.int64)
    train, test = train_test_split(
        np.arange(len(labels)), test_size=config.test_fraction, stratify=labels, random_state=config.seed
    )
    first, _ = train_test_split(
        np.arange(len(train)), test_size=0.5, stratify=labels[train], random_state=config.seed + 1
    )
    half = np.ones(len(train), dtype=np.int8)
    half[first] = 0
    return LabelledImages(images[train], labels[train]), LabelledImages(images[test], labels[test]), half


def resample(scan: np.ndarray, size: int) -> np.ndarray:
    """A scan of ink 0 ... 16 `(8, 8)` -> uint8 RGB `(size, size, 3)`, white ink on black, bicubic."""
    from PIL import Image

    pixels = np.round(scan / 16 * 255).astype(np.uint8)
    grey = np.asarray(Image.fromarray(pixels).resize((size, size), Image.Resampling.BICUBIC))
    return np.repeat(grey[..., None], 3, axis=-1)
