"""The GPUs that a plan is made for, and how long stages take on a number of them."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from marval.errors import UserError
from marval.timing.floors import MACHINES, Machine

# MAR-L with a head of 1024 x 3 trains at 254 images/s on one H100 (cached latents): what is expected where nothing was measured
ANCHOR = 0.17
FLOAT32_SHARE = 0.5  # of the float32 rate that judges reach, which compute without TF32: an estimate


@dataclass(frozen=True)
class Card:
    """One kind of GPU; its other rates are in MACHINES."""

    machine: str
    memory_gb: int
    float32: float  # operations in a second without tensor cores, by NVIDIA's data sheets


CARDS = {
    "H200": Card("H200", 141, 67e12),
    "H100": Card("H100 80GB HBM3", 80, 67e12),
    "A100": Card("A100-SXM4-80GB", 80, 19.5e12),
    "A800": Card("A800-SXM4-80GB", 80, 19.5e12),
    "L40S": Card("L40S", 48, 91.6e12),
    "A6000": Card("RTX A6000", 48, 38.7e12),
    "4090": Card("GeForce RTX 4090", 24, 82.6e12),
    "3090": Card("GeForce RTX 3090", 24, 35.6e12),
}


@dataclass(frozen=True)
class Hardware:
    """What estimates are made for; UserError if it is not known or not possible."""

    gpu: str
    utilisation: float | None = None  # share of the GPU's rate in bfloat16; None: as measured, or the anchor
    gpus: int | None = None  # None: as many as the widest stage may use

    def __post_init__(self) -> None:
        if self.gpu not in CARDS:
            raise UserError(f"--gpu is {self.gpu!r}, which is not known; known: {', '.join(CARDS)}")
        if self.utilisation is not None and not 0 < self.utilisation <= 1:
            raise UserError(f"--utilisation is {self.utilisation}: give a share above 0 and up to 1")
        if self.gpus is not None and self.gpus < 1:
            raise UserError(f"--gpus is {self.gpus}: give at least 1")

    @property
    def machine(self) -> Machine:
        """Rates of one GPU."""
        return MACHINES[CARDS[self.gpu].machine]

    @property
    def memory_bytes(self) -> float:
        """Of one GPU."""
        return 1e9 * CARDS[self.gpu].memory_gb

    def seconds(self, flops: float, float32_flops: float = 0.0) -> float:
        """On one GPU: operations in the precision of trainings and samplers, and those in float32."""
        low = flops / (self.machine.operations * (self.utilisation or ANCHOR))
        return low + float32_flops / (CARDS[self.gpu].float32 * FLOAT32_SHARE)

    def measured(self, rows: Iterable[Mapping[str, Any]]) -> Hardware:
        """With the utilisation of the optimised sampler at its largest batch in rows of speed.json, if they are of this GPU."""
        if self.utilisation is not None:
            return self
        timed = [
            row
            for row in rows
            if row["mode"] == "optimised"
            and "skipped" not in row
            and row["device"].endswith(CARDS[self.gpu].machine)
            and row["dtype"] == "bfloat16"
        ]
        largest = [row for row in timed if row["batch"] == max(other["batch"] for other in timed)]
        if not largest:
            return self
        rates = [row["flops"] / row["seconds_per_image"] / self.machine.operations for row in largest]
        return replace(self, utilisation=median(rates))


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
