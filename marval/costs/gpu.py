"""What a GPU does with the same code, on the meta device: mixed precision, fused attention, and the memory that lives at a time.

Meta tensors know no autocast and no fused attention: both are put in here. The meter follows every tensor's memory from its
creation to its end.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch._ops import OpOverload
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only
from torch.utils.flop_counter import flop_registry

LOW = ("linear", "conv2d")  # what autocast does in bfloat16, attention too
FULL = ("layer_norm", "group_norm")  # and what it does in float32


@contextmanager
def gpu_arithmetic(mixed: bool) -> Iterator[None]:
    """Fused attention, and with `mixed` autocast to bfloat16, in forward passes, recomputed ones and their backward passes.

    The functions are exchanged where modules look them up: what a backward pass recomputes would not see a mode of torch's.
    """
    low = _Low() if mixed else None
    exchanged: dict[str, Callable[..., Any]] = {
        "scaled_dot_product_attention": partial(_fused_attention, low)
    }
    if low:
        exchanged |= {name: partial(_cast, low, getattr(F, name)) for name in LOW}
        exchanged |= {name: partial(_cast, Tensor.float, getattr(F, name)) for name in FULL}
    plain = {name: getattr(F, name) for name in exchanged}
    try:
        for name, function in exchanged.items():
            setattr(F, name, function)
        yield
    finally:
        for name, function in plain.items():
            setattr(F, name, function)


class _Low:
    """To bfloat16; a weight once, as autocast's cache does."""

    def __init__(self) -> None:
        self._weights: dict[int, Tensor] = {}

    def __call__(self, x: Tensor) -> Tensor:
        if not isinstance(x, nn.Parameter):
            return x.bfloat16()
        if id(x) not in self._weights:
            self._weights[id(x)] = x.bfloat16()
        return self._weights[id(x)]


def _cast(
    to: Callable[[Tensor], Tensor], function: Callable[..., Tensor], *args: Any, **kwargs: Any
) -> Tensor:
    args, kwargs = tree_map_only(Tensor, to, (args, kwargs))
    return function(*args, **kwargs)


def _fused_attention(
    low: _Low | None,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    attn_mask: None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
) -> Tensor:
    attend = torch.ops.aten._scaled_dot_product_flash_attention
    inputs = [low(x) for x in (q, k, v)] if low else [q, k, v]
    return attend(*inputs, dropout_p, is_causal, scale=scale)[0]


class Meter(TorchDispatchMode):
    """Operations done under it, by torch's formulas, and bytes of the tensors of `device`: `now` living, and the `peak` so far.

    (Torch's own FlopCounterMode keeps graphs alive that have ended.)
    """

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self.device = device
        self.flops = 0
        self.now = self.peak = 0
        self._living: set[int] = set()

    def __torch_dispatch__(
        self,
        func: OpOverload,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        formula = flop_registry.get(func.overloadpacket)
        if formula is not None:
            self.flops += formula(*args, **kwargs, out_val=out)
        tree_map_only(Tensor, self._see, out)
        return out

    def _see(self, x: Tensor) -> None:
        storage = x.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key in self._living or x.device.type != self.device.type:
            return
        self._living.add(key)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._end, key, size)

    def _end(self, key: int, size: int) -> None:
        self._living.discard(key)
        self.now -= size
