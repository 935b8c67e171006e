"""The steps of a token sampler as numbers: what of the schedule can be worked out before an image is drawn.

With x0 = (x - sigma eps) / alpha, the posterior mean a x0 + b x and the log variance interpolated by v, one step back is

    x' = (a / alpha + b) x - (a sigma / alpha) eps + exp(v (high - low) / 4) exp((high + low) / 4) temperature noise,

linear in x and in the noise prediction eps. The single evaluation of a student is the same with a = 1, b = 0 and no noise. A
solver's step is linear in all that it remembers, and its coefficients are what it makes of unit vectors.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from marval.noise.schedule import NoiseSchedule
from marval.sampling.token_samplers import DiffusionChain, OneStep, SolverChain, TokenSampler


@dataclass(frozen=True)
class DenoisingStep:
    """x' = `x` x + `prediction` eps + exp(`rate` v) `spread` noise, eps and v asked at time `t`."""

    t: int
    x: float
    prediction: float
    rate: float = 0.0
    spread: float = 0.0  # 0: no noise is added


@dataclass(frozen=True)
class SolverStep:
    """s' = matrix (s, eps) for the M slots that a solver keeps, the noisy token first; eps asked at time `t`."""

    t: int
    matrix: Tensor  # (M, M + 1), float64
    spread: float = 0.0  # as for a step without noise

    @property
    def prediction(self) -> float:
        """What the noise prediction is multiplied by in the next noisy token."""
        return float(self.matrix[0, -1])


Step = DenoisingStep | SolverStep


def denoising_steps(sampler: TokenSampler) -> list[Step]:
    """The steps in the order in which they are run; of a chain that draws noise, one for each row of `Draws.steps`."""
    if isinstance(sampler, OneStep):
        alpha, sigma = sampler.schedule.alpha[0].item(), sampler.schedule.sigma[0].item()
        return [DenoisingStep(int(sampler.schedule.timesteps[0]), 1 / alpha, -sigma / alpha)]
    if isinstance(sampler, DiffusionChain):
        count = len(sampler.schedule)
        return [_ancestral(sampler.schedule, i, sampler.temperature) for i in reversed(range(count))]
    if isinstance(sampler, SolverChain):
        return [_of_solver(sampler, i) for i in range(len(sampler.levels) - 1)]
    raise TypeError(f"no tables for {type(sampler).__name__}: use marval.sampling.reference")


def factors_of(
    steps: Sequence[DenoisingStep], channels: int, dtype: torch.dtype, device: torch.device
) -> Tensor:
    """For each step what the head's output (eps, v) is multiplied by, `(n, 2C)`: `prediction`, then `rate`."""
    factors = torch.tensor([[step.prediction, step.rate] for step in steps], dtype=dtype, device=device)
    return factors.repeat_interleave(channels, dim=1)


def _of_solver(chain: SolverChain, i: int) -> Step:
    slots, t = chain.solver.SLOTS, chain.levels[i].t
    *state, noise = torch.eye(slots + 1, dtype=torch.float64)
    matrix = chain.solver.step(chain.levels, i, torch.stack(state), noise)
    if slots == 1:
        x, prediction = matrix[0].tolist()
        return DenoisingStep(t, x, prediction)
    return SolverStep(t, matrix)


def _ancestral(schedule: NoiseSchedule, i: int, temperature: float) -> DenoisingStep:
    alpha, sigma = schedule.alpha[i].item(), schedule.sigma[i].item()
    a, b = schedule.posterior_x0[i].item(), schedule.posterior_xt[i].item()
    t, x, prediction = int(schedule.timesteps[i]), a / alpha + b, -a * sigma / alpha
    if i == 0:
        return DenoisingStep(t, x, prediction)
    low, high = schedule.posterior_log_variance[i].item(), schedule.log_beta[i].item()
    return DenoisingStep(t, x, prediction, (high - low) / 4, temperature * math.exp((high + low) / 4))
