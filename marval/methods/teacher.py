"""Training of MAR: random masks, class drop, diffusion loss on the masked tokens (MAR, section 3; paper's page)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from marval.batches import CPU, Share
from marval.methods.masked import Levels, MaskedBatch, draw_levels, draw_masked, embed_times, rows_of
from marval.methods.settings import TeacherTraining
from marval.models.mar import MAR
from marval.models.transformer import checkpoint_blocks
from marval.noise.schedule import NoiseSchedule
from marval.objectives.diffusion import diffusion_loss
from marval.training.loop import Update
from marval.training.optimisation import averaged, build_optimiser

if TYPE_CHECKING:
    from marval.data.latents import LatentBatches  # reads files by pyarrow


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
        checkpoint_blocks(self.model, config.scale.activation_checkpointing)
        self.average: AveragedModel = averaged(self.model, config.ema)
        self.ema = {"mar": (self.average, self.model)}
        optimiser = build_optimiser(self.model, config.optimiser, exempt=[self.model.head])
        self.updates = [Update("mar", self.model, optimiser, self.loss, config.optimiser)]

    def read_ahead(self, share: Share) -> None:
        self.data.read_ahead(rows_of(self.data, share))

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
        z = images.conditions(self.model, condition)
        repeats = self.config.diffusion_batch_mul
        x0 = images.masked_rows(images.tokens).repeat(repeats, 1)
        x_t = levels.diffuse(x0, self.schedule)
        # what depends on z alone is computed once and then repeated
        output = head.forward_embedded(
            x_t, embed_times(head, levels.t), head.cond_embed(z).repeat(repeats, 1)
        )
        mse, vlb = diffusion_loss(output.float(), x0, x_t, levels.noise, levels.t, self.schedule)
        return {"loss_mse": mse, "loss_vlb": vlb}
