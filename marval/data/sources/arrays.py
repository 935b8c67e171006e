"""Sources whose images are small and few enough to be held in memory, and copied into results/."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from pydantic import Field

from marval.artifacts import write_json, write_npz
from marval.config import Seed
from marval.data.sources.base import Source

DIGIT_NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@dataclass(frozen=True)
class LabelledImages:
    """uint8 RGB `(n, H, W, 3)` and int64 labels `(n,)`."""

    images: np.ndarray
    labels: np.ndarray


class ArraySource(Source):
    """A source that loads all its images at once."""

    copies_images: ClassVar[bool] = True
    names: ClassVar[tuple[str, ...]]  # of the entities, by class
    seed: Seed = Field(0, description="of the split into training and held-out images and into halves")

    @property
    def crop(self) -> str:
        return "none"

    def class_count(self) -> int:
        return len(self.names)

    @abstractmethod
    def load(self) -> tuple[LabelledImages, LabelledImages]:
        """Training and held-out images; UserError where they cannot be had."""

    def prepare(self, folder: Path, partial: Path, label: str) -> None:
        from marval.data.images import TRAIN, write_pixels

        train, held_out = self.load()
        write_pixels(folder / TRAIN, train.images, train.labels, halves(train.labels, self.seed + 1))
        write_npz(folder / "test.npz", arr_0=held_out.images, arr_1=held_out.labels)
        write_json(folder / "classes.json", list(self.names))


def hold_out(data: LabelledImages, fraction: float, seed: int) -> tuple[LabelledImages, LabelledImages]:
    """(training, held-out): `fraction` of each class, rounded up in all, is held out; both are shuffled."""
    from sklearn.model_selection import train_test_split

    rows = np.arange(len(data.labels))
    parts = train_test_split(rows, test_size=fraction, stratify=data.labels, random_state=seed)
    train, held_out = (LabelledImages(data.images[part], data.labels[part]) for part in parts)
    return train, held_out


def halves(labels: np.ndarray, seed: int) -> np.ndarray:
    """int8 `(n,)`, half of each class: 0 for the training reward, 1 for the evaluation networks."""
    from sklearn.model_selection import train_test_split

    first, _ = train_test_split(np.arange(len(labels)), test_size=0.5, stratify=labels, random_state=seed)
    half = np.ones(len(labels), dtype=np.int8)
    half[first] = 0
    return half


def pad(scans: np.ndarray, size: int) -> np.ndarray:
    """Grey uint8 `(n, h, w)` in the middle of black RGB squares `(n, size, size, 3)`; nothing is resampled.

    Where a margin is odd, its smaller half is at the top and at the left.
    """
    height, width = scans.shape[1:]
    top, left = (size - height) // 2, (size - width) // 2
    margins = ((0, 0), (top, size - height - top), (left, size - width - left))
    return np.repeat(np.pad(scans, margins)[..., None], 3, axis=-1)
