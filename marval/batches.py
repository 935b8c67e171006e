"""Which images of a training step a process computes, and random numbers that do not depend on how they are dealt out.

A step's global batch is dealt out to processes, and each takes its part in one or more micro-batches. Every such share draws
the random numbers of the whole batch, from a generator that all have seeded alike, and keeps its own rows; what a step computes
is then the same, to rounding, on one process or on many. A draw costs far less than the network's work on the same rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

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
    alone: bool = True  # whether its process works through it in one piece

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


def shares(
    total: int, processes: int, process: int, micro_batch: int | None, device: torch.device
) -> list[Share]:
    """What one process works through at each step: its part of the batch, in parts of up to `micro_batch` images (None: one).

    The parts of all processes are the batch, and differ by one image at most, as micro-batches do. Raises UserError where
    there are more processes than images.
    """
    if total < processes:
        raise UserError(
            f"a batch of {total} cannot be dealt out to {processes} processes: raise `batch` of this stage in the preset, or "
            "use fewer processes"
        )
    first, last = (total * k // processes for k in (process, process + 1))
    count = -(-(last - first) // (micro_batch or total))
    edges = [first + (last - first) * k // count for k in range(count + 1)]
    return [Share(low, high - low, total, device, count == 1) for low, high in pairwise(edges)]
