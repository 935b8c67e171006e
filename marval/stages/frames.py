"""Samples at a few moments of a training, as one picture: what the losses look like."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from marval.artifacts import replacing, write_image
from marval.models.mar import MAR
from marval.models.tokenizer import Tokenizer
from marval.stages.preset import SampleConfig, SampleVariant
from marval.stages.sample import sample_images

MOMENTS = 5  # rows of the picture: before the first step, three between, and after the last
IMAGES = 10  # columns: the first images by index, so one of each class where there are ten


class Frames:
    """Keeps the pictures beside the checkpoint, so that a resumed run has those from before the interruption."""

    def __init__(self, folder: Path, steps: int, log_every: int, draw: Callable[[], np.ndarray]) -> None:
        """`draw` gives uint8 `(n, H, W, 3)` from the model as it is; it is asked at multiples of `log_every`."""
        self.folder, self.draw = folder, draw
        wanted = np.linspace(0, steps, MOMENTS)
        self.moments = {min(steps, round(moment / log_every) * log_every) for moment in wanted} | {steps}

    def observe(self, step: int) -> dict[str, float]:
        """Take a picture if it is time; adds nothing to the curve."""
        if step in self.moments:
            with replacing(self.folder / f"frame-{step:08d}.npy") as temporary:
                np.save(temporary, np.concatenate(list(self.draw()), axis=1))
        return {}

    def write(self, path: Path) -> None:
        """One row a moment, the earliest on top."""
        rows = [np.load(file) for file in sorted(self.folder.glob("frame-*.npy"))]
        write_image(path, np.concatenate(rows))


def drawer(
    model: MAR, tokenizer: Tokenizer, config: SampleConfig, variant: SampleVariant, seed: int
) -> Callable[[], np.ndarray]:
    """Samples of a model that is in training, which is put back into its mode afterwards."""

    def draw() -> np.ndarray:
        training = model.training
        images = sample_images(model.eval(), tokenizer, config, variant, seed, range(IMAGES))
        model.train(training)
        return images

    return draw
