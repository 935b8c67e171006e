"""Predictions of the same thing in different units.

    x_t = alpha x0 + sigma noise,    score = grad log N(x_t; alpha x0, sigma^2 I) = -noise / sigma

`alpha` and `sigma` broadcast against the other arguments; shapes are otherwise equal.
"""

from torch import Tensor


def diffuse(x0: Tensor, noise: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    """x_t = alpha x0 + sigma noise."""
    return alpha * x0 + sigma * noise


def x0_from_noise(x_t: Tensor, noise: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    """x0 = (x_t - sigma noise) / alpha; ill-conditioned where alpha is near 0 (t near 999)."""
    return (x_t - sigma * noise) / alpha
