"""Guided score implicit matching (MARVAL, section 3; SIM, arXiv 2410.16794).

Goal: the divergence between the student's diffused samples and the guided teacher,

    F(theta) = E_{x_t ~ q_theta} d(y(x_t)),    y = lambda (s_theta(x_t) - s_p(x_t)),    d(y) = sqrt(||y||^2 + r^2) - r.

Its exact gradient needs only samples x_t = alpha x0 + sigma noise of the student and an auxiliary score s_phi = s_theta:

    L1 = -d'(y)^T lambda (s_phi(x_t) - grad log q(x_t | x0)),     L2 = d(y),     grad F = grad (L1 + L2),

phi and teacher frozen, gradients flowing into theta through x_t *everywhere*, also inside d'(y). L1 carries the change of the
student's score, L2 the change of its distribution. `lambda` = sigma min(sigma / alpha, limit) puts y into units of x0, which
decides how well it trains; it depends on t alone, so the identity holds for each t.
"""

from __future__ import annotations

import torch
from torch import Tensor

from marval.objectives.scores import Scores
from marval.objectives.settings import Distance

PSEUDO_HUBER_R = 1e-5  # the paper's


def distance(y: Tensor, kind: Distance, r: float = PSEUDO_HUBER_R) -> Tensor:
    """d(y) over the last axis: `(..., C)` -> `(...)`; squared is ||y||^2 / 2."""
    squared = y.square().sum(dim=-1)
    if kind is Distance.SQUARED:
        return squared / 2
    return torch.sqrt(squared + r**2) - r


def distance_gradient(y: Tensor, kind: Distance, r: float = PSEUDO_HUBER_R) -> Tensor:
    """d'(y), of y's shape."""
    if kind is Distance.SQUARED:
        return y
    return y / torch.sqrt(y.square().sum(dim=-1, keepdim=True) + r**2)


def gsim_terms(
    auxiliary_noise: Tensor,
    teacher_noise: Tensor,
    noise: Tensor,
    weight: Tensor,
    kind: Distance = Distance.PSEUDO_HUBER,
    r: float = PSEUDO_HUBER_R,
) -> tuple[Tensor, Tensor]:
    """(L1, L2), each `(T,)`.

    Scores are given as noise predictions `(T, C)` at the student's x_t: the auxiliary network's, the guided teacher's, and the
    `noise` that made x_t from x0. `weight` `(T, 1)` is lambda / sigma, so that lambda (s - s') = -weight (noise - noise').
    """
    y = -weight * (auxiliary_noise - teacher_noise)
    lag = -weight * (auxiliary_noise - noise)
    first = -(distance_gradient(y, kind, r) * lag).sum(dim=-1)
    return first, distance(y, kind, r)


def terms(scores: Scores, kind: Distance) -> dict[str, Tensor]:
    """The paper's objective, L1 + L2."""
    first, second = gsim_terms(scores.auxiliary, scores.teacher, scores.noise, scores.weight, kind)
    return {"loss_l1": first, "loss_l2": second}


def x0_weight(alpha: Tensor, sigma: Tensor, limit: float) -> Tensor:
    """lambda / sigma = min(sigma / alpha, limit): a difference of noise predictions becomes one of x0 predictions."""
    return (sigma / alpha).clamp(max=limit)


def denoising_loss(prediction: Tensor, noise: Tensor) -> Tensor:
    """Denoising score matching of the auxiliary network: squared error of the noise `(T,)`, mean over channels."""
    return (prediction - noise).square().mean(dim=-1)
