"""UniPC of second order in the data prediction, B(h) = exp(h) - 1 (Zhao et al., arXiv 2302.04867).

The predictor is DPM-Solver++(2M)'s. Before it, from the second step on, the noisy token is corrected by the data prediction x0
that was made at it, which costs no further evaluation. With hh = lambda_before - lambda and B = exp(hh) - 1,

    x_c = (sigma / sigma_b) x_b - alpha B (x0_b + rho_1 (x0_bb - x0_b) / r + rho_2 (x0 - x0_b)),

where b is one step before and bb two, r = (lambda_bb - lambda_b) / (lambda - lambda_b), and rho solves

    rho_1 + rho_2 = (B / hh - 1) / B,    r rho_1 + rho_2 = 2 ((B / hh - 1) / hh - 1/2) / B.

At the second step there is no bb, and rho = (0, 1/2).
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from marval.sampling.solvers.dpm_solver import predicted
from marval.sampling.solvers.levels import Level

SLOTS = 4


def step(levels: Sequence[Level], i: int, state: Tensor, noise: Tensor) -> Tensor:
    """state `(4, ...)`: the noisy token as predicted; one step before, as corrected; data predictions of the last two steps."""
    x, x_before, before, second = state
    x0 = levels[i].x0(x, noise)
    if i:
        x = _corrected(levels, i, x_before, x0, before, second)
    return torch.stack([predicted(levels, i, x, x0, before), x, x0, before])


def _corrected(
    levels: Sequence[Level], i: int, x_before: Tensor, x0: Tensor, before: Tensor, second: Tensor
) -> Tensor:
    here, back = levels[i], levels[i - 1]
    hh = back.log_snr - here.log_snr
    b = math.expm1(hh)
    data = before + (x0 - before) / 2
    if i > 1:
        r = (back.log_snr - levels[i - 2].log_snr) / hh
        phi = b / hh - 1
        first, other = phi / b, 2 * (phi / hh - 1 / 2) / b
        rho = (first - other) / (1 - r)
        data = before + rho * (second - before) / r + (first - rho) * (x0 - before)
    return here.sigma / back.sigma * x_before - here.alpha * b * data
