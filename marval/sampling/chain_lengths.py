"""How many diffusion steps each AR step of a variant has, and how many of them draw noise (DiSA, arXiv 2505.20297)."""

from __future__ import annotations

import math

from marval.sampling.registry import ANCESTRAL
from marval.sampling.settings import Annealing, InnerSampling


def noisy_steps(variant: InnerSampling) -> int:
    """The most diffusion steps of a token that add noise; 1 where none does."""
    return variant.diffusion_steps if variant.sampler == ANCESTRAL else 1


def steps_by_ar_step(variant: InnerSampling, ar_steps: int) -> tuple[int, ...]:
    """Diffusion steps at each AR step: rounded down between the first's and the last's, as DiSA's authors do."""
    first = variant.diffusion_steps
    last = variant.last_diffusion_steps or first
    above = (_above(variant.annealing, k, ar_steps - 1) for k in range(ar_steps))
    return tuple(last + math.floor(part * (first - last)) for part in above)


def _above(annealing: Annealing, k: int, end: int) -> float:
    """From 1 at the first AR step, k = 0, to 0 at the last, k = end."""
    if k == 0:
        return 1.0
    if annealing is Annealing.COSINE:
        return (1 + math.cos(math.pi * k / end)) / 2
    return (end - k) / end if annealing is Annealing.LINEAR else float(k < end / 2)
