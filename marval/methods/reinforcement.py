"""MARVAL-RL: the reward of whole images, back-propagated through decoder and all AR steps into the one-step student.

Beyond the paper, two pulls can be kept beside the reward, which alone pays for its gain with diversity: the distillation loss,
toward the guided teacher, and the squared distance of the weights from the distilled ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import torch
from pydantic import Field
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from marval.batches import Share
from marval.config import Config
from marval.masking import random_orders
from marval.methods.distillation import DistillBatch, DistillMethod
from marval.methods.recomputation import RecomputedSampler, recomputed
from marval.models.mar import MAR
from marval.models.tokenizer import Tokenizer
from marval.noise.schedule import TRAINING_STEPS
from marval.objectives.reward import reward_loss
from marval.sampling.draws import Draws
from marval.sampling.reference import sample_tokens
from marval.sampling.token_samplers import OneStep, TokenSampler
from marval.training.loop import Terms, Update
from marval.training.optimisation import OptimiserConfig, build_optimiser
from marval.training.scale import Scale


class ReinforceTraining(Config):
    """Settings of the `reinforce` stage, common to all variants."""

    optimiser: OptimiserConfig
    batch: int = Field(gt=0, description="images of a step, on all processes together")
    ar_steps: int = Field(gt=0)
    one_step_t: int = Field(ge=0, lt=TRAINING_STEPS)
    scale: Scale = Scale()
    threads: int = Field(1, gt=0)


class ReinforceVariant(Config):
    """What distinguishes one fine-tuned model from another; the defaults are the paper's method."""

    start: str = Field(description="the distilled variant to start from")
    steps: int = Field(gt=0)
    observe_every: int = Field(
        5, gt=0, description="steps between looks at the judges that it is not trained on"
    )
    seeds: list[int] | None = Field(None, min_length=1, description="to train with; default: the preset's")
    distillation_pull: float = Field(
        0.0, ge=0, description="weight of the distillation loss beside the reward"
    )
    weight_pull: float = Field(
        0.0, ge=0, description="weight of ||theta - theta_distilled||^2 beside the reward"
    )
    rewarded_after: int | None = Field(
        None, gt=0, description="AR step whose unfinished image is rewarded; null: the whole"
    )


class Reward(Protocol):
    """A differentiable judge: images `(B, 3, H, W)` in [0, 1] and labels `(B,)` -> rewards `(B,)`, higher is better."""

    def score(self, images: Tensor, labels: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class RewardBatch:
    """Noise and classes of the images to reward, and as many masked images for the pull where there is one."""

    labels: Tensor
    draws: Draws
    pull: DistillBatch | None


class ReinforceMethod:
    """One student update a step, on fresh images of uniformly drawn classes."""

    def __init__(
        self,
        config: ReinforceTraining,
        variant: ReinforceVariant,
        student: MAR,
        tokenizer: Tokenizer,
        reward: Reward,
        pull: DistillMethod | None = None,
    ) -> None:
        """All on the student's device. `pull`: distillation of this `student`, needed where the variant gives it a weight."""
        self.config, self.variant, self.student, self.batch = config, variant, student.eval(), config.batch
        self.tokenizer, self.reward, self.pull = tokenizer, reward, pull
        self.anchor = [p.detach().clone() for p in student.parameters()] if variant.weight_pull else []
        self.model = student
        self.sampler: TokenSampler = OneStep.at(config.one_step_t, student.mask_token.device)
        if config.scale.recompute:
            self.model, self.sampler = recomputed(student), RecomputedSampler(self.sampler)
        self.ema: Mapping[str, tuple[AveragedModel, torch.nn.Module]] = {}
        optimiser = build_optimiser(student, config.optimiser)
        tune = Update(
            "student", student, optimiser, self.loss, config.optimiser.clip, config.optimiser.warmup_steps
        )
        auxiliary = [u for u in pull.updates if u.name == "auxiliary"] if pull else []
        self.updates = [*[replace(u, loss=partial(_on_pull, u.loss)) for u in auxiliary], tune]

    def draw(self, share: Share) -> RewardBatch:
        model, total = self.student.config, share.total
        labels = share.randint(0, model.classes, total)
        start = share.randn(total, model.tokens, model.channels)
        orders = random_orders(share.rand(total, model.tokens))
        draws = Draws(orders, start, start.new_empty(share.count, 0, model.tokens, model.channels))
        return RewardBatch(labels, draws, self.pull.draw(share) if self.pull else None)

    def loss(self, batch: RewardBatch) -> dict[str, Tensor]:
        steps: list[Tensor] = []
        sample_tokens(
            self.model, self.sampler, batch.labels, batch.draws, self.config.ar_steps, 1, on_step=steps
        )
        tokens = steps[(self.variant.rewarded_after or self.config.ar_steps) - 1]
        images = (self.tokenizer.decode(tokens).float().clamp(-1, 1) + 1) / 2
        terms = {"loss_reward": reward_loss(self.reward.score(images, batch.labels))}
        if self.pull is not None and batch.pull is not None:
            weight = self.variant.distillation_pull
            terms |= {
                f"{name}_pull": weight * term for name, term in self.pull.student_loss(batch.pull).items()
            }
        if self.anchor:
            pairs = zip(self.student.parameters(), self.anchor, strict=True)
            apart = torch.stack([(now - before).square().sum() for now, before in pairs]).sum()
            terms["loss_weight_pull"] = self.variant.weight_pull * apart.expand(len(batch.labels))
        return terms


def _on_pull(loss: Callable[[DistillBatch | None], Terms], batch: RewardBatch) -> Terms:
    """A loss of the distillation, on its part of a batch."""
    return loss(batch.pull)
