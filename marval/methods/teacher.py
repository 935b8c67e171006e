"""Training of MAR: random masks, class drop, diffusion loss on the masked tokens (MAR, section 3; paper's page)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from pydantic import Field
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from marval.config import Config
from marval.data.latents import LatentBatches
from marval.masking import MaskingLaw, first_masked, random_orders
from marval.models.mar import MAR, MARConfig
from marval.models.transformer import gather_positions, sorted_positions
from marval.noise.conversions import diffuse
from marval.noise.schedule import TRAINING_STEPS, NoiseSchedule
from marval.objectives.diffusion import diffusion_loss
from marval.training.loop import Update
from marval.training.optimisation import OptimiserConfig, averaged, build_optimiser


class TeacherTraining(Config):
    """Settings of the `teacher` stage."""

    model: MARConfig
    masking: MaskingLaw
    optimiser: OptimiserConfig
    steps: int = Field(gt=0)
    batch: int = Field(gt=0)
    diffusion_batch_mul: int = Field(4, gt=0, description="noise levels drawn for each masked token")
    label_drop: float = Field(0.1, ge=0, lt=1)
    ema: float = Field(ge=0, lt=1)
    threads: int = Field(1, gt=0)


@dataclass(frozen=True)
class MaskedBatch:
    """Images with the same number of masked tokens."""

    tokens: Tensor  # (B, N, C)
    labels: Tensor  # (B,)
    masked: Tensor  # (B, N) bool
    masked_count: int

    def positions(self) -> Tensor:
        """Ascending masked positions `(B, M)`."""
        return sorted_positions(self.masked, self.masked_count)

    def masked_rows(self, x_BND: Tensor) -> Tensor:
        """Rows of the masked positions of all images, `(B M, D)`."""
        return gather_positions(x_BND, self.positions()).flatten(0, 1)


def draw_masked(data: LatentBatches, batch: int, law: MaskingLaw) -> MaskedBatch:
    """A random batch with random orders and a masking ratio from the law."""
    tokens, labels = data.draw(batch)
    count = law.draw_count(tokens.shape[1])
    masked = first_masked(random_orders(batch, tokens.shape[1]), count)
    return MaskedBatch(tokens, labels, masked, count)


class TeacherMethod:
    """Masked auto-regressive training of one MAR."""

    def __init__(self, config: TeacherTraining, data: LatentBatches) -> None:
        self.config = config
        self.data = data
        self.schedule = NoiseSchedule.full()
        self.model = MAR(config.model).train()
        self.average: AveragedModel = averaged(self.model, config.ema)
        self.ema = {"mar": (self.average, self.model)}
        optimiser = build_optimiser(self.model, config.optimiser, exempt=[self.model.head])
        clip, warmup = config.optimiser.clip, config.optimiser.warmup_steps
        self.updates = [Update("mar", self.model, optimiser, self.loss, clip, warmup)]

    def draw(self, step: int) -> MaskedBatch:
        return draw_masked(self.data, self.config.batch, self.config.masking)

    def loss(self, batch: MaskedBatch) -> dict[str, Tensor]:
        dropped = torch.rand(len(batch.labels)) < self.config.label_drop
        condition = self.model.class_condition(batch.labels, dropped)
        z = batch.masked_rows(self.model(batch.tokens, batch.masked, condition, batch.masked_count))
        x0 = batch.masked_rows(batch.tokens)
        repeats = self.config.diffusion_batch_mul
        z, x0 = z.repeat(repeats, 1), x0.repeat(repeats, 1)
        t = torch.randint(TRAINING_STEPS, (len(x0),))
        noise = torch.randn_like(x0)
        x_t = diffuse(x0, noise, self.schedule.alpha[t][:, None], self.schedule.sigma[t][:, None])
        mse, vlb = diffusion_loss(self.model.head(x_t, t, z), x0, x_t, noise, t, self.schedule)
        return {"loss_mse": mse, "loss_vlb": vlb}
