"""How many images a preset has: as its settings say, or as `prepare` has found."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from marval.data.images import TRAIN, count_training
from marval.pipeline.preset import Preset


@dataclass(frozen=True)
class TrainingImages:
    """How many there are, and how that is known."""

    count: int
    source: str
    are_copied: bool  # into results/, where the others stay where they are


def training_images(preset: Preset) -> TrainingImages:
    """0 where it cannot be known before `prepare` has run."""
    source, path = preset.prepare, Path("results") / preset.name / "data" / TRAIN
    if path.is_file():
        return TrainingImages(count_training(path), f"in {path}", source.copies_images)
    counts = source.counts(preset.teacher.model.classes)
    return TrainingImages(counts.train or 0, counts.basis, source.copies_images)


def held_out_images(preset: Preset) -> int:
    """Real images that are scored like samples."""
    return preset.prepare.counts(preset.teacher.model.classes).held_out
