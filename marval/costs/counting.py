"""Floating-point operations, counted by running code on torch's meta device, which has shapes and no values.

A multiply-add is 2 operations; what is not a matrix product or a convolution is not counted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode


@dataclass(frozen=True)
class Work:
    """What one component does for a batch of images."""

    flops: float  # of one image
    weights: float  # numbers read for the whole batch, once for each use, however large the batch is

    def __add__(self, other: Work) -> Work:
        return Work(self.flops + other.flops, self.weights + other.weights)

    def __sub__(self, other: Work) -> Work:
        return self + other * -1

    def __mul__(self, times: float) -> Work:
        return Work(self.flops * times, self.weights * times)


def counted(function: Callable[..., object], *inputs: Tensor | int) -> int:
    """Operations of one call, on the meta device."""
    with torch.device("meta"), torch.inference_mode(), FlopCounterMode(display=False) as counter:
        function(*inputs)
    return counter.get_total_flops()


def quadratic(count: Callable[[int], int]) -> Callable[[int], int]:
    """The polynomial through `count` at 1, 2 and 3: operations are exactly quadratic in a sequence's length."""
    one, two, three = (count(n) for n in (1, 2, 3))
    bend = three - 2 * two + one  # twice the leading coefficient
    return lambda n: one + (n - 1) * (two - one) + (n - 1) * (n - 2) * bend // 2


def numbers(*modules: nn.Module) -> int:
    """How many weights the modules have."""
    return sum(p.numel() for module in modules for p in module.parameters())


def meta(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.empty(shape, dtype=dtype, device="meta")
