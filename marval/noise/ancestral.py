"""One backward step of the learned-range ancestral sampler (improved DDPM, equations 11 and 15), with MAR's temperature."""

import torch
from torch import Tensor

from marval.noise.conversions import x0_from_noise
from marval.noise.schedule import NoiseSchedule


def learned_log_variance(v: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Interpolate the log variance: v = -1 gives `low` (the posterior's), v = 1 gives `high` (beta's)."""
    fraction = (v + 1) / 2
    return fraction * high + (1 - fraction) * low


def ancestral_step(
    schedule: NoiseSchedule,
    i: int,
    x_t: Tensor,
    noise_prediction: Tensor,
    v: Tensor,
    noise: Tensor,
    temperature: float,
) -> Tensor:
    """x_{i-1} from x_i `(..., C)`: posterior mean plus `temperature` x std x `noise`; step 0 adds no noise."""
    x0 = x0_from_noise(x_t, noise_prediction, schedule.alpha[i], schedule.sigma[i])
    mean = schedule.posterior_x0[i] * x0 + schedule.posterior_xt[i] * x_t
    if i == 0:
        return mean
    log_variance = learned_log_variance(v, schedule.posterior_log_variance[i], schedule.log_beta[i])
    return mean + temperature * torch.exp(0.5 * log_variance) * noise
