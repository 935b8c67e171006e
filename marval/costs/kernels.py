"""How many kernels a piece of code launches on a GPU, counted on the meta device: what a single image waits for.

Every operation that writes a tensor is one launch; views and empty tensors are none. What a library does in several kernels (a
split product, say) counts as one, so that this is a lower bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode

from marval.costs.counting import meta
from marval.costs.gpu import gpu_arithmetic
from marval.models.mar import MAR
from marval.models.settings import MARConfig
from marval.sampling.draws import Draws
from marval.sampling.graphs import Direct, Function, Key
from marval.sampling.optimised import OptimisedSampler
from marval.sampling.tables import denoising_steps
from marval.sampling.token_samplers import TokenSampler

# without a kernel, though no view by their schemas
NONE = {"empty", "empty_like", "empty_strided", "new_empty", "_unsafe_view", "detach", "lift_fresh"}


class Launches(TorchDispatchMode):
    """Counts under it."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self.by_name: dict[str, int] = {}

    def __torch_dispatch__(
        self, func: OpOverload, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = func.overloadpacket.__name__
        if not _is_view(func) and name not in NONE:
            self.count += 1
            self.by_name[name] = self.by_name.get(name, 0) + 1
        return func(*args, **(kwargs or {}))


@dataclass(frozen=True)
class ImageLaunches:
    """Of one batch of images by the optimised sampler."""

    in_graphs: int
    replays: int  # of graphs
    eager: int  # beside them, with the copies of what graphs are given


def image_launches(config: MARConfig, sampler: TokenSampler, ar_steps: int, guidance: float) -> ImageLaunches:
    """Counted over a whole image, in bfloat16."""
    with torch.device("meta"):
        model = MAR(config).eval()
    fast = OptimisedSampler(model, sampler, ar_steps, guidance, torch.bfloat16)
    steps = len(denoising_steps(sampler))
    noise = meta(1, steps, config.tokens, config.channels)
    draws = Draws(meta(1, config.tokens, dtype=torch.int64), noise[:, 0], noise)
    first = meta(fast.branches, 1, config.tokens, config.head.width, dtype=torch.bfloat16)
    with gpu_arithmetic(mixed=False), torch.inference_mode(), torch.device("meta"), Launches() as counter:
        run = _Counting(counter)
        fast.generate(run, first, meta(1, dtype=torch.int64), draws)
    return ImageLaunches(run.inside, run.calls, counter.count - run.run + run.copies)


class _Counting(Direct):
    """What would be in graphs. A chain of the head is counted once for each number of tokens."""

    def __init__(self, counter: Launches) -> None:
        self.counter = counter
        self.inside = self.run = self.calls = self.copies = 0
        self._heads: dict[Key, tuple[int, Tensor]] = {}

    def keep(self, tensors: Sequence[Tensor]) -> Sequence[Tensor]:
        self.copies += len(tensors)
        return tensors

    def __call__(self, key: Key, function: Function, *inputs: Tensor) -> Tensor:
        self.calls += 1
        self.copies += len(inputs)
        if key not in self._heads:
            before = self.counter.count
            result = function(*inputs)
            launched = self.counter.count - before
            self.run += launched
            if key[0] != "head":
                self.inside += launched
                return result
            self._heads[key] = launched, result
        launched, result = self._heads[key]
        self.inside += launched
        return result


def _is_view(func: OpOverload) -> bool:
    """Whether what comes back is an argument's memory, untouched."""
    returned = [r.alias_info for r in func._schema.returns]
    return bool(returned) and all(alias is not None and not alias.is_write for alias in returned)
