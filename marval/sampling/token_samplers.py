"""From the condition z of a token to the token: the teacher's diffusion chain, a solver's, or one evaluation of the head.

Shapes: T tokens, C channels, D condition width. All take the unconditional condition too; guidance then follows the scale
convention of `marval.objectives.guidance` and applies to the noise prediction, as in MAR.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from marval.models.head import DenoisingHead
from marval.noise.ancestral import ancestral_step
from marval.noise.conversions import x0_from_noise
from marval.noise.schedule import NoiseSchedule
from marval.objectives.guidance import guided
from marval.sampling.solvers.levels import Level, Solver


class TokenSampler(Protocol):
    """Draws tokens `(T, C)` given their conditions."""

    def __call__(
        self,
        head: DenoisingHead,
        z: Tensor,
        z_null: Tensor | None,
        scale: float,
        start: Tensor,
        steps: Tensor,
    ) -> Tensor:
        """z and z_null `(T, D)` (None: no guidance), start `(T, C)`, steps `(S, T, C)` -> tokens `(T, C)`."""
        ...


TokenSamplers = TokenSampler | Sequence[TokenSampler]  # one for all AR steps, or one for each


def one_for_each(samplers: TokenSamplers, ar_steps: int) -> list[TokenSampler]:
    """The sampler of each AR step; ValueError for another number of them."""
    found = list(samplers) if isinstance(samplers, Sequence) else [samplers] * ar_steps
    if len(found) != ar_steps:
        raise ValueError(f"{len(found)} inner samplers for {ar_steps} AR steps")
    return found


def predict(
    head: DenoisingHead, x_t: Tensor, t: Tensor, z: Tensor, z_null: Tensor | None, scale: float
) -> tuple[Tensor, Tensor]:
    """Guided noise prediction and variance interpolation, each `(T, C)`, at time `t` (0-d) for all tokens.

    Both branches of guidance are one batch of the head, as in MAR. The variance is the conditional branch's: guidance does not
    touch it.
    """
    if z_null is None:
        noise, v = head(x_t, t.expand(len(x_t)), z).chunk(2, dim=-1)
        return noise, v
    both = head(x_t.repeat(2, 1), t.expand(2 * len(x_t)), torch.cat([z, z_null])).unflatten(0, (2, -1))
    noise, v = both.chunk(2, dim=-1)
    return guided(noise[0], noise[1], scale), v[0]


@dataclass(frozen=True)
class DiffusionChain:
    """MAR's inner loop: ancestral sampling over a respaced schedule."""

    schedule: NoiseSchedule
    temperature: float = 1.0

    @classmethod
    def of(cls, steps: int, start: int, device: torch.device | str = "cpu") -> DiffusionChain:
        """As many steps, evenly from the noise level `start` on."""
        return cls(NoiseSchedule.respaced(steps, start, device))

    def __call__(
        self,
        head: DenoisingHead,
        z: Tensor,
        z_null: Tensor | None,
        scale: float,
        start: Tensor,
        steps: Tensor,
    ) -> Tensor:
        x = start
        for drawn, i in enumerate(reversed(range(len(self.schedule)))):
            noise, v = predict(head, x, self.schedule.timesteps[i], z, z_null, scale)
            x = ancestral_step(self.schedule, i, x, noise, v, steps[drawn], self.temperature)
        return x


@dataclass(frozen=True)
class SolverChain:
    """A solver of the probability-flow ODE over falling noise levels; it draws no noise on the way."""

    solver: Solver
    levels: Sequence[Level]  # the last is clean

    def __call__(
        self,
        head: DenoisingHead,
        z: Tensor,
        z_null: Tensor | None,
        scale: float,
        start: Tensor,
        steps: Tensor,
    ) -> Tensor:
        state = torch.stack([start, *[torch.zeros_like(start)] * (self.solver.SLOTS - 1)])
        for i, level in enumerate(self.levels[:-1]):
            t = torch.tensor(level.t, device=start.device)
            noise, _ = predict(head, state[0], t, z, z_null, scale)
            state = self.solver.step(self.levels, i, state, noise)
        return state[0]


@dataclass(frozen=True)
class OneStep:
    """MARVAL's inner step: the head once, at noise level `t`, converted to x0; `schedule` has that one level."""

    schedule: NoiseSchedule

    @classmethod
    def at(cls, t: int, device: torch.device | str = "cpu") -> OneStep:
        """t = 999 is degenerate (alpha = 4.9e-5); somewhat lower, the conversion to x0 is well conditioned."""
        import numpy as np

        return cls(NoiseSchedule.at(np.array([t]), device))

    def __call__(
        self,
        head: DenoisingHead,
        z: Tensor,
        z_null: Tensor | None,
        scale: float,
        start: Tensor,
        steps: Tensor,
    ) -> Tensor:
        noise, _ = predict(head, start, self.schedule.timesteps[0], z, z_null, scale)
        return x0_from_noise(start, noise, self.schedule.alpha[0], self.schedule.sigma[0])
