"""The noise levels that a solver goes through, in float64 and on the host."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from torch import Tensor

from marval.noise.schedule import cosine_alphas_cumprod


@dataclass(frozen=True)
class Level:
    """x_t = alpha x0 + sigma noise at time `t`; the last level of a chain is clean and has no t."""

    t: int
    alpha: float
    sigma: float

    @property
    def log_snr(self) -> float:
        """log(alpha / sigma), lambda in the solvers' papers; infinite where there is no noise."""
        return math.log(self.alpha / self.sigma) if self.sigma else math.inf

    def x0(self, x_t: Tensor, noise: Tensor) -> Tensor:
        """The data prediction that goes with a noise prediction."""
        return (x_t - self.sigma * noise) / self.alpha


CLEAN = Level(-1, 1.0, 0.0)


class Solver(Protocol):
    """What a module of this package defines."""

    SLOTS: int  # M: the noisy token, then what the solver remembers of earlier steps, zero at the start

    def step(self, levels: Sequence[Level], i: int, state: Tensor, noise: Tensor) -> Tensor:
        """From level i to level i + 1: state `(M, ...)` and noise prediction `(...)` -> state `(M, ...)`."""
        ...


def levels_at(timesteps: Sequence[int]) -> tuple[Level, ...]:
    """Levels at falling times, then the clean one."""
    bar = cosine_alphas_cumprod()[np.array(timesteps)]
    pairs = zip(timesteps, np.sqrt(bar).tolist(), np.sqrt(1 - bar).tolist(), strict=True)
    return (*(Level(int(t), alpha, sigma) for t, alpha, sigma in pairs), CLEAN)


def even_levels(count: int, first: int) -> tuple[Level, ...]:
    """`count` levels, evenly spaced from `first` down to, but without, t = 0, and the clean one; as diffusers' `linspace`."""
    if not 1 <= count <= first:
        raise ValueError(f"a solver that starts at t = {first} has 1 to {first} steps, not {count}")
    return levels_at(np.linspace(0, first, count + 1).round()[:0:-1].astype(int).tolist())
