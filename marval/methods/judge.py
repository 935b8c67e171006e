"""Training of an evaluation network that brings its own loss (the miniature judges of the metrics package)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from marval.batches import Share
from marval.training.loop import Update
from marval.training.optimisation import build_optimiser
from marval.training.settings import OptimiserConfig

CLIP_NORM = 1.0


# per-sample loss `(B,)` of images `(B, 3, H, W)` and labels `(B,)`, with all randomness from the generator
JudgeLoss = Callable[[Tensor, Tensor, torch.Generator], Tensor]


class JudgeMethod:
    """Trains on images drawn with replacement."""

    def __init__(
        self, judge: nn.Module, loss: JudgeLoss, lr: float, batch: int, images: Tensor, labels: Tensor
    ) -> None:
        self.judge_loss, self.batch, self.images, self.labels = loss, batch, images, labels
        self.ema: dict = {}
        settings = OptimiserConfig(lr=lr, weight_decay=0.01, warmup_steps=0, clip=CLIP_NORM)
        self.updates = [Update("judge", judge.train(), build_optimiser(judge, settings), self.loss, settings)]

    def draw(self, share: Share) -> tuple[Tensor, Tensor]:
        index = share.on_host().randint(0, len(self.images), share.total)
        return share.place(self.images[index]), share.place(self.labels[index])

    def loss(self, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        return {"loss": self.judge_loss(*batch, torch.default_generator)}
