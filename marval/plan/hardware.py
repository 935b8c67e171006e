"""The GPUs that a plan is made for, and how long stages take on a number of them."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass

from marval.errors import UserError
from marval.timing.floors import MACHINES, Machine

MEMORY_GB = {"H200": 141, "H100": 80, "A100": 80}  # of one; their rates are in MACHINES, under longer names


@dataclass(frozen=True)
class Hardware:
    """What estimates are made for; UserError if it is not known or not possible."""

    gpu: str
    utilisation: float  # share of the GPU's rate
    gpus: int | None = None  # None: as many as the widest stage may use

    def __post_init__(self) -> None:
        if self.gpu not in MEMORY_GB:
            raise UserError(f"--gpu is {self.gpu!r}, which is not known; known: {', '.join(MEMORY_GB)}")
        if not 0 < self.utilisation <= 1:
            raise UserError(f"--utilisation is {self.utilisation}: give a share above 0 and up to 1")
        if self.gpus is not None and self.gpus < 1:
            raise UserError(f"--gpus is {self.gpus}: give at least 1")

    @property
    def machine(self) -> Machine:
        """Rates of one GPU."""
        return next(machine for name, machine in MACHINES.items() if name.startswith(self.gpu))

    @property
    def memory_bytes(self) -> float:
        """Of one GPU."""
        return 1e9 * MEMORY_GB[self.gpu]

    def seconds(self, flops: float) -> float:
        """On one GPU."""
        return flops / (self.machine.operations * self.utilisation)


@dataclass(frozen=True)
class Job:
    """One stage."""

    gpu_seconds: float
    gpus: int
    after: frozenset[str]


def wall_seconds(jobs: Mapping[str, Job], gpus: int) -> float:
    """Seconds until the last of the jobs is done, each on as many GPUs as it may use, when its inputs are made.

    Of those that could start, the first in order do.
    What is not among the jobs is taken as done; jobs without GPU work take no time.
    """
    waiting, unfinished, free, now = dict(jobs), set(jobs), gpus, 0.0
    running: list[tuple[float, str, int]] = []  # when it ends, which, GPUs
    while unfinished:
        for name, job in list(waiting.items()):
            used = min(gpus, job.gpus) if job.gpu_seconds else 0
            if used <= free and not job.after & unfinished:
                heapq.heappush(running, (now + job.gpu_seconds / max(1, used), name, used))
                free -= used
                del waiting[name]
        now, name, used = heapq.heappop(running)
        unfinished.discard(name)
        free += used
    return now
