"""Which tokens are hidden: the random law of training and the cosine unmasking schedule of sampling (MAR, arXiv 2406.11838).

An order is a permutation of the N positions, `(B, N)` int64. Positions at its end are revealed first, so that the first n
entries are what is still masked when n tokens are.
"""

from __future__ import annotations

import math
from enum import StrEnum

import torch
from pydantic import Field
from torch import Tensor

from marval.config import Config


class OrderLaw(StrEnum):
    """How the unmasking order of an image is drawn; MAR and MARVAL use `random`."""

    RANDOM = "random"
    RASTER = "raster"
    CENTRE_OUT = "centre-out"


class MaskingLaw(Config):
    """Law of the masking ratio in training: a normal with mean 1, truncated to [minimum, 1]."""

    std: float = Field(0.25, gt=0, le=10)
    minimum: float = Field(0.7, ge=0, lt=1)

    def draw_count(self, tokens: int, generator: torch.Generator | None = None) -> int:
        """Number of masked tokens, in 1 ... `tokens`: ceil(tokens x ratio), the ratio drawn by inverse transform."""
        u = torch.rand((), generator=generator, dtype=torch.float64)
        low = 0.5 * math.erfc((1 - self.minimum) / (self.std * math.sqrt(2)))  # normal cdf at the minimum
        ratio = 1 + self.std * math.sqrt(2) * torch.erfinv(2 * (low + u * (0.5 - low)) - 1).item()
        return max(1, min(tokens, math.ceil(tokens * ratio)))


def random_orders(keys_BN: Tensor) -> Tensor:
    """Independent uniform permutations `(B, N)` from independent uniform keys."""
    return keys_BN.argsort(dim=1)


def fixed_order(law: OrderLaw, side: int) -> Tensor:
    """The order `(side^2,)` of a deterministic law: raster reveals row by row, centre-out by distance from the centre."""
    positions = torch.arange(side * side)
    if law is OrderLaw.RASTER:
        return positions.flip(0)
    if law is OrderLaw.CENTRE_OUT:
        row, column = positions // side, positions % side
        centre = (side - 1) / 2
        distance = (row - centre) ** 2 + (column - centre) ** 2
        return distance.argsort(descending=True, stable=True)
    raise ValueError(f"{law} is not a deterministic order")


def first_masked(orders: Tensor, count: int) -> Tensor:
    """Boolean mask `(B, N)`, true at the first `count` positions of each order."""
    mask = torch.zeros_like(orders, dtype=torch.bool)
    return mask.scatter(1, orders[:, :count], True)


def unmasking_schedule(tokens: int, steps: int, masked: int | None = None) -> list[int]:
    """How many tokens are still masked after each AR step, `steps` entries, strictly falling, the last 0.

    After step k: floor(n cos(pi/2 (k+1)/K)), but at least 1 and at least one fewer than before; the last step reveals all
    that is left. `masked` is how many of the `tokens` are unknown at the start (all, unless an image is in-painted).
    """
    unknown = tokens if masked is None else masked
    if not 1 <= steps <= unknown:
        raise ValueError(f"AR steps must be 1 to {unknown} for {unknown} unknown tokens, not {steps}")
    counts: list[int] = []
    before = unknown
    for k in range(steps - 1):
        target = math.floor(unknown * math.cos(math.pi / 2 * (k + 1) / steps))
        before = max(1, min(before - 1, target))
        counts.append(before)
    return [*counts, 0]


def linear_guidance(scale: float, tokens: int, masked_after: int) -> float:
    """MAR's linear guidance schedule: w_k = 1 + (w - 1)(N - masked after step k) / N, from near 1 up to about w.

    The published sampler counts one masked token after the last step too, so w itself is never quite reached.
    """
    return 1 + (scale - 1) * (tokens - max(1, masked_after)) / tokens
