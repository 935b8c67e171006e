"""DPM-Solver++(2M), the multistep solver of second order in the data prediction (Lu et al., arXiv 2211.01095, algorithm 2).

With lambda = log(alpha / sigma), h = lambda' - lambda and r the step before over this one, both in lambda,

    x' = (sigma' / sigma) x - alpha' (exp(-h) - 1) D,    D = x0 + (x0 - x0_before) / (2 r).

The first step has no step before it and the last one no noise after it: there D = x0, which is DDIM.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from marval.sampling.solvers.levels import Level

SLOTS = 2


def step(levels: Sequence[Level], i: int, state: Tensor, noise: Tensor) -> Tensor:
    """state `(2, ...)`: the noisy token, and the data prediction of the step before."""
    x, before = state
    x0 = levels[i].x0(x, noise)
    return torch.stack([predicted(levels, i, x, x0, before), x0])


def predicted(levels: Sequence[Level], i: int, x: Tensor, x0: Tensor, before: Tensor) -> Tensor:
    """The noisy token at level i + 1, from that at level i and the data predictions there and at level i - 1."""
    here, there = levels[i], levels[i + 1]
    h = there.log_snr - here.log_snr
    data = x0
    if 0 < i < len(levels) - 2:
        data = x0 + (x0 - before) * (h / (2 * (here.log_snr - levels[i - 1].log_snr)))
    return there.sigma / here.sigma * x - there.alpha * math.expm1(-h) * data
