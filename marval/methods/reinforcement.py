"""MARVAL-RL: the reward of whole images, back-propagated through decoder and all AR steps into the one-step student."""

from __future__ import annotations

from typing import Protocol

import torch
from pydantic import Field
from torch import Tensor

from marval.config import Config
from marval.masking import random_orders
from marval.models.mar import MAR
from marval.models.tokenizer import Tokenizer
from marval.noise.schedule import TRAINING_STEPS
from marval.objectives.reward import reward_loss
from marval.sampling.draws import Draws
from marval.sampling.reference import sample_tokens
from marval.sampling.token_samplers import OneStep
from marval.training.loop import Update
from marval.training.optimisation import OptimiserConfig, build_optimiser


class ReinforceTraining(Config):
    """Settings of the `reinforce` stage, common to all variants."""

    optimiser: OptimiserConfig
    batch: int = Field(gt=0)
    ar_steps: int = Field(gt=0)
    one_step_t: int = Field(ge=0, lt=TRAINING_STEPS)
    threads: int = Field(1, gt=0)


class ReinforceVariant(Config):
    """What distinguishes one fine-tuned model from another."""

    start: str = Field(description="the distilled variant to start from")
    steps: int = Field(gt=0)
    observe_every: int = Field(
        5, gt=0, description="steps between looks at the judges that it is not trained on"
    )


class Reward(Protocol):
    """A differentiable judge: images `(B, 3, H, W)` in [0, 1] and labels `(B,)` -> rewards `(B,)`, higher is better."""

    def score(self, images: Tensor, labels: Tensor) -> Tensor: ...


class ReinforceMethod:
    """One update a step, on fresh images of uniformly drawn classes."""

    def __init__(self, config: ReinforceTraining, student: MAR, tokenizer: Tokenizer, reward: Reward) -> None:
        self.config, self.student, self.tokenizer, self.reward = config, student.eval(), tokenizer, reward
        self.sampler = OneStep.at(config.one_step_t)
        self.ema: dict = {}
        optimiser = build_optimiser(student, config.optimiser)
        clip, warmup = config.optimiser.clip, config.optimiser.warmup_steps
        self.updates = [Update("student", student, optimiser, self.loss, clip, warmup)]

    def draw(self, step: int) -> tuple[Tensor, Draws]:
        model, batch = self.student.config, self.config.batch
        labels = torch.randint(model.classes, (batch,))
        start = torch.randn(batch, model.tokens, model.channels)
        return labels, Draws(
            random_orders(batch, model.tokens), start, torch.empty(batch, 0, *start.shape[1:])
        )

    def loss(self, batch: tuple[Tensor, Draws]) -> dict[str, Tensor]:
        labels, draws = batch
        tokens = sample_tokens(self.student, self.sampler, labels, draws, self.config.ar_steps, guidance=1)
        images = (self.tokenizer.decode(tokens).clamp(-1, 1) + 1) / 2
        return {"loss_reward": reward_loss(self.reward.score(images, labels))}
