"""What a step of MARVAL-RL costs: put together from single AR steps and the reward, each run by the method's own parts.

AR steps differ in two numbers alone, how many tokens are known and how many are revealed. Operations are quadratic in the first
and linear in the second, and what is kept for the backward pass is linear in both, so a few steps tell of all.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from marval.costs.counting import meta
from marval.costs.gpu import Meter, gpu_arithmetic
from marval.costs.judges import Judge, Vision
from marval.costs.training import (
    ADAM_BYTES,
    META,
    ONE_STEP_T,
    StepCost,
    backward,
    first_share,
    trained_numbers,
)
from marval.masking.schedule import unmasking_schedule
from marval.methods.reinforcement import ReinforceMethod
from marval.methods.settings import ReinforceTraining, ReinforceVariant
from marval.models.mar import MAR
from marval.models.settings import MARConfig, TokenizerConfig
from marval.models.tokenizer import Tokenizer, build_autoencoder
from marval.training.checkpoints import KEPT


@dataclass(frozen=True)
class Sizes:
    """The networks of a step."""

    model: MARConfig
    tokenizer: TokenizerConfig
    reward: Vision


@dataclass(frozen=True)
class Part:
    """One part of a step, forward and backward."""

    flops: int
    kept: int  # bytes, between its forward and its backward pass
    working: int  # bytes, beyond what is kept, while it runs


def reinforce_step(
    config: ReinforceTraining, variant: ReinforceVariant, sizes: Sizes, processes: int = 1
) -> StepCost:
    """Generation, reward and the way back; the regularisers beside the reward are left out."""
    share = first_share(config.batch, processes, config.scale)
    meter = Meter(META)
    with gpu_arithmetic(config.scale.precision == "bf16"), meter:
        method = _build(config, variant, sizes)
        bench = _Bench(method, share.count, meter)
        steps, last = bench.all_steps(config.ar_steps)
        state = meter.now  # with gradients and cast weights
        reward = bench.part(bench.reward)
    trained = trained_numbers(method)
    at_work = max(reward.kept + reward.working, last.working)
    return StepCost(
        flops=(steps.flops + reward.flops) * share.total / share.count,
        peak_bytes=state + steps.kept + at_work + ADAM_BYTES * trained,
        checkpoint_bytes=(KEPT + 1) * (4 + ADAM_BYTES) * trained,
    )


def _build(config: ReinforceTraining, variant: ReinforceVariant, sizes: Sizes) -> ReinforceMethod:
    with META:
        channels = sizes.tokenizer.token_channels
        autoencoder = build_autoencoder(sizes.tokenizer)
        tokenizer = Tokenizer(sizes.tokenizer, autoencoder, torch.zeros(channels), torch.ones(channels))
        alone = variant.model_copy(update={"distillation_weight": 0.0, "proximity_weight": 0.0})
        return ReinforceMethod(
            config, alone, MAR(sizes.model), tokenizer, Judge(sizes.reward).eval(), ONE_STEP_T
        )


class _Bench:
    """Runs parts of a step, for `images` images at a time."""

    def __init__(self, method: ReinforceMethod, images: int, meter: Meter) -> None:
        self.method, self.images, self.meter = method, images, meter
        self.model = method.student.config

    def all_steps(self, ar_steps: int) -> tuple[Part, Part]:
        """(all AR steps together, the last one, which works on the longest sequence)."""
        total = self.model.tokens
        plan = [(total - b, b - a) for b, a in pairwise([total, *unmasking_schedule(total, ar_steps)])]
        points = [(1, 1), (1, 2), (2, 1), plan[-1]]
        parts = [self.ar_step(*point) for point in points]
        every = np.array(plan, dtype=float)
        at = np.array(points, dtype=float)
        # the first one is left out of the bytes: weights were cast and gradients made in it
        flops = _features(every) @ np.linalg.solve(_features(at), [part.flops for part in parts])
        linear = [0, 1, 3]
        fitted = np.linalg.solve(_features(at[1:])[:, linear], [part.kept for part in parts[1:]])
        kept = _features(every)[:, linear] @ fitted
        return Part(round(flops.sum()), round(kept.sum()), 0), parts[-1]

    def ar_step(self, known: int, revealed: int) -> Part:
        return self.part(lambda: self._ar_step(known, revealed))

    def _ar_step(self, known: int, revealed: int) -> Tensor:
        images, model, method = self.images, self.model, self.method
        tokens = meta(images, model.tokens, model.channels).requires_grad_()
        masked = meta(images, model.tokens, dtype=torch.bool)
        condition = method.student.class_condition(meta(images, dtype=torch.int64))
        z = method.model(tokens, masked, condition, model.tokens - known)
        rows = z[:, :revealed].flatten(0, 1)
        start, steps = meta(len(rows), model.channels), meta(0, len(rows), model.channels)
        new = method.sampler(method.student.head, rows, None, 1.0, start, steps)
        return torch.cat([tokens[:, revealed:], new.unflatten(0, (images, -1))], dim=1)

    def reward(self) -> Tensor:
        tokens = meta(self.images, self.model.tokens, self.model.channels).requires_grad_()
        pictures = (self.method.decode(tokens).float().clamp(-1, 1) + 1) / 2
        return self.method.reward.score(pictures, meta(self.images, dtype=torch.int64))

    def part(self, run: Callable[[], Tensor]) -> Part:
        """Forward and backward; gradients are dropped afterwards, as if they had been there before."""
        gc.collect()  # what recomputation leaves behind in cycles
        before, flops = self.meter.now, self.meter.flops
        self.meter.peak = before
        out = run()
        kept = self.meter.now - before
        backward({"loss": out.flatten(1).mean(1) if out.ndim > 1 else out})
        del out
        return Part(self.meter.flops - flops, kept, self.meter.peak - before - kept)


def _features(points: np.ndarray) -> np.ndarray:
    """(known, revealed) `(n, 2)` -> 1, known, known squared, revealed `(n, 4)`."""
    known, revealed = points.T
    return np.stack([np.ones_like(known), known, known**2, revealed], axis=1)
