"""How long the stages of a preset take on a number of GPUs, each on as many as it may use, when its inputs are made."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Job:
    """One stage."""

    gpu_seconds: float
    gpus: int
    after: frozenset[str]


def wall_seconds(jobs: Mapping[str, Job], gpus: int) -> float:
    """Seconds until the last of the jobs is done; of those that could start, the first in order do.

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
