"""How many images a preset has: as its settings say, or as `prepare` has found."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from marval.data.digits import DigitsConfig
from marval.pipeline.preset import Preset

DIGITS = 1_797
IMAGENET, IMAGENET_CLASSES = 1_281_167, 1000


@dataclass(frozen=True)
class TrainingImages:
    """How many there are, and how that is known."""

    count: int
    source: str
    are_copied: bool = False  # into results/, where the others stay where they are


def training_images(preset: Preset) -> TrainingImages:
    """0 where it cannot be known before `prepare` has run."""
    if isinstance(preset.prepare, DigitsConfig):
        return TrainingImages(DIGITS - held_out_images(preset), "the scans that scikit-learn ships", True)
    index = Path("results") / preset.name / "data/train.parquet"
    if index.is_file():
        from pyarrow.parquet import read_metadata

        return TrainingImages(read_metadata(index).num_rows, f"in {index}")
    if preset.teacher.model.classes == IMAGENET_CLASSES:
        return TrainingImages(IMAGENET, "assumed: ImageNet's")
    return TrainingImages(0, "not known before `prepare` has run")


def held_out_images(preset: Preset) -> int:
    """Real images that are scored like samples."""
    if isinstance(preset.prepare, DigitsConfig):
        return math.ceil(DIGITS * preset.prepare.test_fraction)
    return preset.prepare.held_out * preset.teacher.model.classes
