"""MAR's diffusion loss: squared error of the noise, plus the variational bound that trains the learned-range variance.

L = ||noise - noise_theta||^2 + L_vlb     (improved DDPM, section 3.1; the mean is frozen inside L_vlb)
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from marval.noise.ancestral import learned_log_variance
from marval.noise.conversions import x0_from_noise
from marval.noise.schedule import NoiseSchedule

DECODER_BIN = 1 / 255  # half-width of the bins of the t = 0 likelihood, as published for 8-bit images


def diffusion_loss(
    output: Tensor, x0: Tensor, x_t: Tensor, noise: Tensor, t: Tensor, schedule: NoiseSchedule
) -> tuple[Tensor, Tensor]:
    """(mse, vlb), each `(T,)`, means over the channels; vlb in bits.

    `output` `(T, 2C)` is the head's; the others `(T, C)`; `t` `(T,)` indexes the full `schedule`.
    """
    prediction, v = output.chunk(2, dim=-1)
    mse = (noise - prediction).square().mean(dim=-1)
    return mse, variational_bound(prediction.detach(), v, x0, x_t, t, schedule)


def variational_bound(
    prediction: Tensor, v: Tensor, x0: Tensor, x_t: Tensor, t: Tensor, schedule: NoiseSchedule
) -> Tensor:
    """KL(q(x_{t-1} | x_t, x0) || p(x_{t-1} | x_t)) in bits `(T,)`; at t = 0 the negative log likelihood of x0."""
    a, b = schedule.posterior_x0[t][:, None], schedule.posterior_xt[t][:, None]
    low, high = schedule.posterior_log_variance[t][:, None], schedule.log_beta[t][:, None]
    guess = x0_from_noise(x_t, prediction, schedule.alpha[t][:, None], schedule.sigma[t][:, None])
    mean, true_mean = a * guess + b * x_t, a * x0 + b * x_t
    log_variance = learned_log_variance(v, low, high)
    kl = gaussian_kl(true_mean, low, mean, log_variance).mean(dim=-1)
    nll = -binned_log_likelihood(x0, mean, 0.5 * log_variance).mean(dim=-1)
    return torch.where(t == 0, nll, kl) / math.log(2)


def gaussian_kl(mean1: Tensor, log_variance1: Tensor, mean2: Tensor, log_variance2: Tensor) -> Tensor:
    """KL(N1 || N2) of diagonal Gaussians, elementwise, in nats."""
    ratio = torch.exp(log_variance1 - log_variance2)
    return 0.5 * (
        log_variance2 - log_variance1 - 1 + ratio + (mean1 - mean2).square() * torch.exp(-log_variance2)
    )


def binned_log_likelihood(x: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    """Log probability of the 1/127.5-wide bin around `x` under N(mean, std^2), elementwise; the end bins are open."""
    upper = _normal_cdf((x + DECODER_BIN - mean) * torch.exp(-log_std))
    lower = _normal_cdf((x - DECODER_BIN - mean) * torch.exp(-log_std))
    probability = torch.where(x < -0.999, upper, torch.where(x > 0.999, 1 - lower, upper - lower))
    return probability.clamp(min=1e-12).log()


def _normal_cdf(x: Tensor) -> Tensor:
    """The tanh approximation that the published loss uses."""
    return 0.5 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
