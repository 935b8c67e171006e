"""The processes of one stage: which of how many this is, on which device, and how work is dealt out and brought together.

A stage runs in one process unless `marval.processes.workers` (or torchrun, or `accelerate launch`) has started several;
accelerate then connects them. One process never imports accelerate: that takes seconds, and the miniature stages last few of
them.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import torch
from torch import Tensor

from marval.errors import UserError
from marval.processes import gpus, nvml

PATIENCE = timedelta(hours=2)  # the others wait while the first process draws samples, asks judges or writes
BUCKET = 1 << 26  # elements that travel at once: enough for full bandwidth, few beside the weights


@dataclass(frozen=True)
class Process:
    """One of the `count` processes of a stage, numbered from 0; the first alone writes files and speaks to people."""

    index: int
    count: int
    device: torch.device

    @property
    def is_first(self) -> bool:
        return self.index == 0


@functools.cache
def here() -> Process:
    """This process; the first call connects it with the others, where there are others.

    UserError where there are GPUs that CUDA cannot use: hours on a CPU would pass before anybody saw it.
    """
    cuda = torch.cuda.is_available()
    if not cuda and (devices := gpus.visible()):
        raise UserError(_unusable(len(devices)))
    if "LOCAL_RANK" not in os.environ:
        return Process(0, 1, torch.device("cuda" if cuda else "cpu"))
    from accelerate import PartialState

    state = PartialState(cpu=not cuda, timeout=PATIENCE)
    return Process(state.process_index, state.num_processes, state.device)


def _unusable(count: int) -> str:
    """Why, as far as NVML and torch tell, and what to do."""
    built, told = torch.version.cuda, nvml.driver()
    wanted = f"torch {torch.__version__} is built for " + (f"CUDA {built}" if built else "CPUs alone")
    offered = (
        f"driver {told[0]} runs CUDA up to {told[1]}" if told else "the driver does not tell its version"
    )
    return (
        f"{count} GPU{'s are' if count > 1 else ' is'} visible but CUDA cannot use {'them' if count > 1 else 'it'}: {offered}, "
        f"{wanted}: install a driver for that CUDA (README, At full scale), or set CUDA_VISIBLE_DEVICES= to compute on the CPU"
    )


def shard(count: int, multiple: int = 1) -> range:
    """The indices 0 ... `count` - 1 that are this process's: contiguous, in the order of the processes.

    Cut at multiples of `multiple`, so that batches of that size are those of a single process: their results are then equal.
    """
    process, blocks = here(), -(-count // multiple)
    first, last = (
        min(count, blocks * k // process.count * multiple) for k in (process.index, process.index + 1)
    )
    return range(first, last)


def gather(rows: np.ndarray) -> np.ndarray:
    """The rows of all processes, one after the other; every process gets all. Their other axes agree; some may have no row."""
    if here().count == 1:
        return rows
    from accelerate.utils import gather_object

    return np.concatenate(gather_object([rows]))


def wait_for_all() -> None:
    """Return when every process has come here."""
    if here().count > 1:
        from accelerate.utils import wait_for_everyone

        wait_for_everyone()


def leave() -> None:
    """Part from the other processes."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def sum_over_processes(tensors: Sequence[Tensor]) -> None:
    """Replace each tensor (equal shapes in all processes) by its sum over the processes."""
    if here().count == 1:
        return
    for bucket in _buckets(tensors):
        flat = torch.cat([tensor.flatten() for tensor in bucket])
        torch.distributed.all_reduce(flat)
        parts = flat.split([tensor.numel() for tensor in bucket])
        for tensor, part in zip(bucket, parts, strict=True):
            tensor.copy_(part.view_as(tensor))


def _buckets(tensors: Sequence[Tensor]) -> list[list[Tensor]]:
    """Runs of one dtype, each of about `BUCKET` elements."""
    buckets: list[list[Tensor]] = []
    size = 0
    for tensor in tensors:
        if not buckets or size + tensor.numel() > BUCKET or buckets[-1][0].dtype != tensor.dtype:
            buckets.append([])
            size = 0
        buckets[-1].append(tensor)
        size += tensor.numel()
    return buckets
