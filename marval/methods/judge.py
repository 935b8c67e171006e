"""Training of an evaluation network that brings its own loss (the miniature judges of the metrics package)."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn

from marval.training.loop import Update
from marval.training.optimisation import OptimiserConfig, build_optimiser

CLIP_NORM = 1.0


class TrainableJudge(Protocol):
    """A module with a per-sample loss on images `(B, 3, H, W)` in [0, 1] and labels `(B,)`."""

    def training_loss(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor: ...


class JudgeMethod:
    """Trains on images drawn with replacement."""

    def __init__(self, judge: nn.Module, lr: float, batch: int, images: Tensor, labels: Tensor) -> None:
        self.judge, self.batch, self.images, self.labels = judge.train(), batch, images, labels
        self.ema: dict = {}
        optimiser = build_optimiser(judge, OptimiserConfig(lr=lr, weight_decay=0.01, clip=CLIP_NORM))
        self.updates = [Update("judge", judge, optimiser, self.loss, CLIP_NORM)]

    def draw(self, step: int) -> tuple[Tensor, Tensor]:
        index = torch.randint(len(self.images), (self.batch,))
        return self.images[index], self.labels[index]

    def loss(self, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        return {"loss": self.judge.training_loss(*batch, torch.default_generator)}
