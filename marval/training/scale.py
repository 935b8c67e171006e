"""What lets a large model train on the hardware at hand: none of it changes what is computed, beyond rounding."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field

from marval.config import Config


class Scale(Config):
    """Section `scale` of a training stage; the defaults suit the miniature models."""

    accumulate: int = Field(
        1, gt=0, le=1024, description="pieces of each process's part of the batch, one after the other"
    )
    precision: Literal["fp32", "bf16"] = Field(
        "fp32", description="of the networks' arithmetic; weights, averages and losses stay fp32"
    )
    recompute: bool = Field(
        False, description="activations again in the backward pass: less memory, a third more time"
    )

    def autocast(self, device: torch.device) -> torch.autocast:
        """The context in which losses are computed."""
        return torch.autocast(device.type, torch.bfloat16, enabled=self.precision == "bf16")
