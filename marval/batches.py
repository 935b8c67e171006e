"""Which images of a training step a process computes, and random numbers that do not depend on how they are dealt out.

A step's global batch is cut into processes x accumulation shares. Every share draws the random numbers of the whole batch, from
a generator that all have seeded alike, and keeps its own rows; what a step computes is then the same, to rounding, on one
process or on many. A draw costs far less than the network's work on the same rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from marval.errors import UserError

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Share:
    """Images `first` ... `first + count - 1` of a global batch of `total`.

    The shapes that the drawing functions take are those of the whole batch, with `total` at position `axis`; what they return
    has `count` there, is on `device` and comes from torch's global generator of that device.
    """

    first: int
    count: int
    total: int
    device: torch.device = CPU

    @classmethod
    def whole(cls, total: int, device: torch.device = CPU) -> Share:
        """The only share of a batch."""
        return cls(0, total, total, device)

    @property
    def weight(self) -> float:
        """Part of the global mean that this share's mean is."""
        return self.count / self.total

    def on_host(self) -> Share:
        """The same images, drawing on the CPU: for what the host must know, such as which files to read."""
        return replace(self, device=CPU)

    def cut(self, whole: Tensor, axis: int = 0) -> Tensor:
        """The rows of this share."""
        return whole if self.count == self.total else whole.narrow(axis, self.first, self.count)

    def rand(self, *shape: int, axis: int = 0) -> Tensor:
        """Uniform on [0, 1)."""
        return self.cut(torch.rand(shape, device=self.device), axis)

    def randn(self, *shape: int, axis: int = 0) -> Tensor:
        """Standard normal."""
        return self.cut(torch.randn(shape, device=self.device), axis)

    def randint(self, low: int, high: int, *shape: int, axis: int = 0) -> Tensor:
        """Uniform integers in [low, high)."""
        return self.cut(torch.randint(low, high, shape, device=self.device), axis)

    def place(self, rows: Tensor) -> Tensor:
        """Rows from the host on the device; a GPU is not waited for."""
        if self.device.type == "cpu":
            return rows
        return rows.pin_memory().to(self.device, non_blocking=True)


def shares(total: int, processes: int, process: int, accumulate: int, device: torch.device) -> list[Share]:
    """The shares that one process works through at each step; all shares together are the batch, each differs by one at most.

    Raises UserError where there are more shares than images.
    """
    parts = processes * accumulate
    if total < parts:
        raise UserError(
            f"a batch of {total} cannot be cut into {processes} processes x {accumulate} accumulation steps: raise `batch` or "
            "lower `accumulate` of this stage in the preset, or use fewer processes"
        )
    edges = [total * k // parts for k in range(parts + 1)]
    mine = range(process * accumulate, (process + 1) * accumulate)
    return [Share(edges[k], edges[k + 1] - edges[k], total, device) for k in mine]
