"""The cosine noise schedule and its respacing to fewer steps (Nichol & Dhariwal 2021, equation 17)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from marval.noise import TRAINING_STEPS

MAX_BETA = 0.999


def cosine_alphas_cumprod(steps: int = TRAINING_STEPS) -> np.ndarray:
    """Cumulative products alpha_bar_t of the cosine schedule, float64 `(steps,)`, falling from about 1 to about 0.

    beta_t = min(1 - f((t+1)/T) / f(t/T), 0.999) with f(u) = cos^2(pi/2 (u + 0.008) / 1.008).
    """

    def f(u: float) -> float:
        return math.cos((u + 0.008) / 1.008 * math.pi / 2) ** 2

    betas = [min(1 - f((t + 1) / steps) / f(t / steps), MAX_BETA) for t in range(steps)]
    return np.cumprod(1 - np.array(betas, dtype=np.float64))


def respaced_timesteps(count: int, last: int = TRAINING_STEPS - 1) -> np.ndarray:
    """`count` evenly spaced timesteps from 0 to `last` inclusive, ascending int64.

    `last` = 999 is MAR's choice. A small, briefly trained model needs an earlier start, because at t = 999 an error of the
    noise prediction is amplified about 300 times by the first respaced step.
    """
    if not 2 <= count <= last + 1:
        raise ValueError(f"a chain has 2 to {last + 1} steps, not {count}")
    stride = last / (count - 1)
    return np.array([round(i * stride) for i in range(count)], dtype=np.int64)


@dataclass(frozen=True)
class NoiseSchedule:
    """Tables over the steps of a chain, float32 tensors `(steps,)` computed in float64.

    `timesteps` are the times at which the network is asked; for the full schedule they are 0 ... 999.
    """

    timesteps: Tensor  # int64
    alpha: Tensor  # sqrt(alpha_bar)
    sigma: Tensor  # sqrt(1 - alpha_bar)
    log_beta: Tensor  # upper end of the learned variance range
    posterior_log_variance: (
        Tensor  # lower end of the range; the first entry, which is -inf, repeats the second
    )
    posterior_x0: Tensor  # coefficient of x0 in the posterior mean of q(x_{t-1} | x_t, x_0)
    posterior_xt: Tensor  # coefficient of x_t

    @classmethod
    def respaced(
        cls, count: int, last: int = TRAINING_STEPS - 1, device: torch.device | str = "cpu"
    ) -> NoiseSchedule:
        """The schedule of a chain with `count` evenly spaced steps; betas are those between the kept times."""
        return cls.at(respaced_timesteps(count, last), device)

    @classmethod
    def full(cls, device: torch.device | str = "cpu") -> NoiseSchedule:
        """The 1000-step schedule of training."""
        return cls.at(np.arange(TRAINING_STEPS), device)

    @classmethod
    def at(cls, timesteps: np.ndarray, device: torch.device | str = "cpu") -> NoiseSchedule:
        """The schedule over any ascending selection of the training times."""
        bar = cosine_alphas_cumprod()[timesteps]
        previous = np.append(1.0, bar[:-1])
        beta = 1 - bar / previous
        variance = beta * (1 - previous) / (1 - bar)
        first = variance[1] if len(variance) > 1 else beta[0]
        tables = {
            "alpha": np.sqrt(bar),
            "sigma": np.sqrt(1 - bar),
            "log_beta": np.log(beta),
            "posterior_log_variance": np.log(np.append(first, variance[1:])),
            "posterior_x0": beta * np.sqrt(previous) / (1 - bar),
            "posterior_xt": (1 - previous) * np.sqrt(1 - beta) / (1 - bar),
        }
        floats = {k: torch.tensor(v, dtype=torch.float32, device=device) for k, v in tables.items()}
        return cls(timesteps=torch.tensor(timesteps, device=device), **floats)

    def __len__(self) -> int:
        return len(self.timesteps)
