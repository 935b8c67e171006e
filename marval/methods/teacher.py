"""Training of MAR: random masks, class drop, diffusion loss on the masked tokens (MAR, section 3; paper's page)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from pydantic import Field
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from marval.batches import CPU, Share
from marval.config import Config
from marval.data.latents import LatentBatches
from marval.masking import MaskingLaw
from marval.methods.masked import Levels, MaskedBatch, draw_levels, draw_masked, embed_times
from marval.models.mar import MAR, MARConfig
from marval.models.transformer import recompute_blocks
from marval.noise.schedule import NoiseSchedule
from marval.objectives.diffusion import diffusion_loss
from marval.training.loop import Update
from marval.training.optimisation import OptimiserConfig, averaged, build_optimiser
from marval.training.scale import Scale


class TeacherTraining(Config):
    """Settings of the `teacher` stage."""

    model: MARConfig
    masking: MaskingLaw
    optimiser: OptimiserConfig
    steps: int = Field(gt=0)
    batch: int = Field(gt=0, description="images of a step, on all processes together")
    diffusion_batch_mul: int = Field(4, gt=0, description="noise levels drawn for each masked token")
    label_drop: float = Field(0.1, ge=0, lt=1)
    ema: float = Field(ge=0, lt=1)
    scale: Scale = Scale()
    threads: int = Field(1, gt=0)


@dataclass(frozen=True)
class TeacherBatch:
    """The images of a step and its noise: `diffusion_batch_mul` levels for each masked token."""

    images: MaskedBatch
    dropped: Tensor  # (B,) bool, where the class is hidden
    levels: Levels


class TeacherMethod:
    """Masked auto-regressive training of one MAR."""

    def __init__(self, config: TeacherTraining, data: LatentBatches, device: torch.device = CPU) -> None:
        """The network is initialised on the CPU, from torch's generator, and trained on `device`."""
        self.config, self.data, self.batch = config, data, config.batch
        self.schedule = NoiseSchedule.full(device)
        self.model = MAR(config.model).train().to(device)
        recompute_blocks(self.model, config.scale.recompute)
        self.average: AveragedModel = averaged(self.model, config.ema)
        self.ema = {"mar": (self.average, self.model)}
        optimiser = build_optimiser(self.model, config.optimiser, exempt=[self.model.head])
        clip, warmup = config.optimiser.clip, config.optimiser.warmup_steps
        self.updates = [Update("mar", self.model, optimiser, self.loss, clip, warmup)]

    def draw(self, share: Share) -> TeacherBatch:
        images = draw_masked(self.data, share, self.config.masking)
        dropped = share.rand(share.total) < self.config.label_drop
        channels, repeats = self.config.model.channels, self.config.diffusion_batch_mul
        return TeacherBatch(
            images, dropped, draw_levels(share, images.masked_count, channels, repeats=repeats)
        )

    def loss(self, batch: TeacherBatch) -> dict[str, Tensor]:
        images, levels, head = batch.images, batch.levels, self.model.head
        condition = self.model.class_condition(images.labels, batch.dropped)
        z = images.masked_rows(self.model(images.tokens, images.masked, condition, images.masked_count))
        repeats = self.config.diffusion_batch_mul
        x0 = images.masked_rows(images.tokens).repeat(repeats, 1)
        x_t = levels.diffuse(x0, self.schedule)
        # what depends on z alone is computed once and then repeated
        output = head.forward_embedded(
            x_t, embed_times(head, levels.t), head.cond_embed(z).repeat(repeats, 1)
        )
        mse, vlb = diffusion_loss(output.float(), x0, x_t, levels.noise, levels.t, self.schedule)
        return {"loss_mse": mse, "loss_vlb": vlb}
