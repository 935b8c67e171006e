"""How the sampler's parts of fixed shapes are run: as they are, or recorded once as CUDA graphs and replayed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

Key = (
    tuple[str, int] | tuple[str, int, int]
)  # a component, what fixes its shapes for one batch size, and which of several
# of tensors; shapes follow from those of the inputs, and nothing is asked of the host
Function = Callable[..., Tensor]


class Runner(Protocol):
    """Runs the functions of one batch size."""

    def keep(self, tensors: Sequence[Tensor]) -> Sequence[Tensor]:
        """Tensors with these values that functions may refer to beside their inputs; valid until the next call."""
        ...

    def __call__(self, key: Key, function: Function, *inputs: Tensor) -> Tensor:
        """The function's result, valid until the next call; equal keys mean the same function and shapes."""
        ...


class Direct:
    """No graphs."""

    def keep(self, tensors: Sequence[Tensor]) -> Sequence[Tensor]:
        return tensors

    def __call__(self, key: Key, function: Function, *inputs: Tensor) -> Tensor:
        return function(*inputs)


class Graphs:
    """One CUDA graph for each key, all in one memory pool: a result must be used before anything else is replayed."""

    def __init__(self) -> None:
        self._pool = torch.cuda.graph_pool_handle()
        self._stream = torch.cuda.Stream()  # one for all: libraries keep a workspace for each stream
        self._kept: list[Tensor] = []
        self._recorded: dict[Key, tuple[torch.cuda.CUDAGraph, list[Tensor], Tensor]] = {}

    def keep(self, tensors: Sequence[Tensor]) -> Sequence[Tensor]:
        if not self._kept:
            self._kept = [tensor.clone() for tensor in tensors]
        else:
            _copy(self._kept, tensors)
        return self._kept

    def __call__(self, key: Key, function: Function, *inputs: Tensor) -> Tensor:
        if key not in self._recorded:
            self._recorded[key] = self._record(function, inputs)
        graph, held, result = self._recorded[key]
        _copy(held, inputs)
        graph.replay()
        return result

    def _record(
        self, function: Function, inputs: Sequence[Tensor]
    ) -> tuple[torch.cuda.CUDAGraph, list[Tensor], Tensor]:
        held = [tensor.clone() for tensor in inputs]
        # libraries set themselves up on a first call, which is not recorded
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            function(*held)
        torch.cuda.current_stream().wait_stream(self._stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool, stream=self._stream):
            result = function(*held)
        return graph, held, result


def _copy(to: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    for kept, value in zip(to, values, strict=True):
        kept.copy_(value)
