"""What lets a large model train on the hardware at hand: none of it changes what is computed, beyond rounding."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field

from marval.config import Config


class Scale(Config):
    """Section `scale` of a training stage; the defaults suit the miniature models."""

    at_once: int | None = Field(
        None, gt=0, description="images that a process holds at once; null: its whole part of the batch"
    )
    precision: Literal["fp32", "bf16"] = Field(
        "fp32", description="of the networks' arithmetic; weights, averages and losses stay fp32"
    )
    recompute: bool = Field(
        False, description="activations again in the backward pass: less memory, a third more time"
    )

    def pieces(self, batch: int, processes: int = 1) -> int:
        """How many pieces the largest of the processes' parts of a batch is taken in."""
        part = -(-batch // processes)
        return -(-part // (self.at_once or part))

    def autocast(self, device: torch.device) -> torch.autocast:
        """The context in which losses are computed."""
        return torch.autocast(device.type, torch.bfloat16, enabled=self.precision == "bf16")
