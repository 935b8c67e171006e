"""Settings that every training has: the optimizer's, and how a batch is fitted into the memory at hand."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from marval.config import Config

Decay = Annotated[float, Field(ge=0, lt=1)]


class OptimiserConfig(Config):
    """Settings of one AdamW with linear warm-up to a rate that stays, as MAR's does, or falls."""

    lr: float = Field(gt=0, le=1)
    betas: tuple[Decay, Decay] = (0.9, 0.95)
    weight_decay: float = Field(0.0, ge=0, le=1)
    warmup_steps: int = Field(0, ge=0)
    falling: bool = Field(
        False, description="the rate falls linearly, and would be 0 one step after the last"
    )
    clip: float = Field(gt=0, description="largest gradient norm")


class Scale(Config):
    """Section `scale` of a training stage; the defaults suit the miniature models."""

    micro_batch: int | None = Field(
        None, gt=0, description="images that a process holds at once; null: its whole part of the batch"
    )
    precision: Literal["fp32", "bf16"] = Field(
        "fp32", description="of the networks' arithmetic; weights, averages and losses stay fp32"
    )
    activation_checkpointing: bool = Field(
        False, description="activations again in the backward pass: less memory, a third more time"
    )

    def micro_batches(self, batch: int, processes: int = 1) -> int:
        """In how many parts the largest of the processes' parts of a batch is computed."""
        part = -(-batch // processes)
        return -(-part // (self.micro_batch or part))
