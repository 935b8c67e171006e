"""MARVAL-RL: the reward of whole images, back-propagated through decoder and all AR steps into the one-step student.

Beyond the paper, two regularisers can stand beside the reward, which alone pays for its gain with diversity: the distillation
loss, toward the guided teacher, and the squared distance of the weights from the distilled ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from marval.batches import Share
from marval.masking.orders import random_orders
from marval.methods.activation_checkpointing import CheckpointedSampler, checkpointed, image_by_image
from marval.methods.distillation import DistillBatch, DistillMethod
from marval.methods.settings import ReinforceTraining, ReinforceVariant
from marval.models.mar import MAR
from marval.models.tokenizer import Tokenizer
from marval.objectives.reward import reward_loss
from marval.sampling.draws import Draws
from marval.sampling.reference import sample_tokens
from marval.sampling.token_samplers import OneStep, TokenSampler
from marval.training.loop import Terms, Update
from marval.training.optimisation import build_optimiser


class Reward(Protocol):
    """A differentiable judge: images `(B, 3, H, W)` in [0, 1] and labels `(B,)` -> rewards `(B,)`, higher is better."""

    def score(self, images: Tensor, labels: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class RewardBatch:
    """Noise and classes of the images to reward, and as many masked images for the distillation loss where it has a weight."""

    labels: Tensor
    draws: Draws
    distillation: DistillBatch | None


class ReinforceMethod:
    """One student update a step, on fresh images of uniformly drawn classes."""

    def __init__(
        self,
        config: ReinforceTraining,
        variant: ReinforceVariant,
        student: MAR,
        tokenizer: Tokenizer,
        reward: Reward,
        one_step_t: int,
        distillation: DistillMethod | None = None,
    ) -> None:
        """All on the student's device. `distillation` of this `student`: needed where the variant gives its loss a weight."""
        self.config, self.variant, self.student, self.batch = config, variant, student.eval(), config.batch
        self.reward, self.distillation = reward, distillation
        self.distilled = (
            [p.detach().clone() for p in student.parameters()] if variant.proximity_weight else []
        )
        self.model = student
        self.decode: Callable[[Tensor], Tensor] = tokenizer.decode
        self.sampler: TokenSampler = OneStep.at(one_step_t, student.mask_token.device)
        if config.scale.activation_checkpointing:
            self.model, self.sampler = checkpointed(student), CheckpointedSampler(self.sampler)
            self.decode = image_by_image(tokenizer.decode)
        self.ema: Mapping[str, tuple[AveragedModel, torch.nn.Module]] = {}
        optimiser = build_optimiser(student, config.optimiser)
        auxiliary = distillation.auxiliary_updates if distillation else []
        self.updates = [
            *(replace(update, loss=partial(_of_distillation, update.loss)) for update in auxiliary),
            Update("student", student, optimiser, self.loss, config.optimiser),
        ]

    def draw(self, share: Share) -> RewardBatch:
        model, total = self.student.config, share.total
        labels = share.randint(0, model.classes, total)
        start = share.randn(total, model.tokens, model.channels)
        orders = random_orders(share.rand(total, model.tokens))
        draws = Draws(orders, start, start.new_empty(share.count, 0, model.tokens, model.channels))
        return RewardBatch(labels, draws, self.distillation.draw(share) if self.distillation else None)

    def loss(self, batch: RewardBatch) -> dict[str, Tensor]:
        steps: list[Tensor] = []
        sample_tokens(
            self.model, self.sampler, batch.labels, batch.draws, self.config.ar_steps, 1, on_step=steps
        )
        tokens = steps[(self.variant.rewarded_after or self.config.ar_steps) - 1]
        images = (self.decode(tokens).float().clamp(-1, 1) + 1) / 2
        terms = {"loss_reward": reward_loss(self.reward.score(images, batch.labels))}
        if self.distillation is not None and batch.distillation is not None:
            weight = self.variant.distillation_weight
            losses = self.distillation.student_loss(batch.distillation)
            terms |= {f"{name}_weighted": weight * loss for name, loss in losses.items()}
        if self.distilled:
            pairs = zip(self.student.parameters(), self.distilled, strict=True)
            apart = torch.stack([(now - before).square().sum() for now, before in pairs]).sum()
            terms["loss_proximity"] = self.variant.proximity_weight * apart.expand(len(batch.labels))
        return terms


def _of_distillation(loss: Callable[[DistillBatch | None], Terms], batch: RewardBatch) -> Terms:
    """A loss of the distillation, on its part of a batch."""
    return loss(batch.distillation)
