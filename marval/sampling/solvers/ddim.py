"""DDIM without noise (Song et al., arXiv 2010.02502, equation 12 with sigma_t = 0):

x' = alpha' x0 + sigma' eps,    x0 = (x - sigma eps) / alpha.
"""

from collections.abc import Sequence

from torch import Tensor

from marval.sampling.solvers.levels import Level

SLOTS = 1


def step(levels: Sequence[Level], i: int, state: Tensor, noise: Tensor) -> Tensor:
    """state `(1, ...)`: the noisy token."""
    there = levels[i + 1]
    return there.alpha * levels[i].x0(state, noise) + there.sigma * noise
