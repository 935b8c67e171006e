"""The law of training's masks (MAR, arXiv 2406.11838, section 4). Presets hold it, so that torch is imported where it draws."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pydantic import Field

from marval.config import Config

if TYPE_CHECKING:
    import torch


class MaskingLaw(Config):
    """Law of the masking ratio in training: a normal with mean 1, truncated to [minimum, 1]."""

    std: float = Field(0.25, gt=0, le=10)
    minimum: float = Field(0.7, ge=0, lt=1)

    def draw_count(self, tokens: int, generator: torch.Generator | None = None) -> int:
        """Number of masked tokens, in 1 ... `tokens`: ceil(tokens x ratio), the ratio drawn by inverse transform."""
        import torch

        u = torch.rand((), generator=generator, dtype=torch.float64)
        low = 0.5 * math.erfc((1 - self.minimum) / (self.std * math.sqrt(2)))  # normal cdf at the minimum
        ratio = 1 + self.std * math.sqrt(2) * torch.erfinv(2 * (low + u * (0.5 - low)) - 1).item()
        return max(1, min(tokens, math.ceil(tokens * ratio)))
