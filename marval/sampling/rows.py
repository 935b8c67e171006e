"""What stands between a sampler's matrix products, row by row: residuals, norms, modulations, denoising steps.

A CPU does them by torch's own operations. A single image keeps a GPU waiting for launches, not for arithmetic, and there each is
one kernel of `marval.sampling.triton_rows`: the same numbers to rounding (float32 inside, so that in bfloat16 fewer roundings are
left), in 28 launches for a diffusion step of MAR-B's head where torch's own take 47.

Shapes: R rows, W width, T tokens, C token channels.
"""

from __future__ import annotations

import functools
import logging
from typing import Any

import torch
from torch import Tensor

from marval.models.transformer import NORM_EPS
from marval.sampling.tables import DenoisingStep, factors_of

TOLERANCE = 1e-5  # between the two ways, in float32
CHECKED = 24  # width of the rows that they are compared on, no power of two
OPERATIONS = torch.library.Library("marval", "DEF")
OPERATIONS.define(
    "residual_norm(Tensor x, Tensor? update, Tensor? gate, Tensor scale, Tensor shift, ScalarType kept, ScalarType out)"
    " -> (Tensor, Tensor)"
)
OPERATIONS.define("denoise(Tensor x, Tensor output, Tensor? noise, float a, float b, float rate) -> Tensor")


class Rows:
    """By torch's own operations."""

    def modulated(
        self,
        x: Tensor,
        update: Tensor | None,
        gate: Tensor | None,
        scale: Tensor,
        shift: Tensor,
        kept: torch.dtype,
        out: torch.dtype,
    ) -> tuple[Tensor, Tensor]:
        """x + gate update (both or none) in `kept`, and norm(that) scale + shift in `out`; all `(R, W)`."""
        x = _as(x, kept) if update is None or gate is None else torch.addcmul(x, gate, update)
        return x, _as(torch.addcmul(shift, torch.layer_norm(x, x.shape[-1:], eps=NORM_EPS), scale), out)

    def added(self, x: Tensor, update: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """x + update, and its norm with `weight` and `bias` `(W,)`; of any leading shape."""
        x = x + update
        return x, torch.layer_norm(x, x.shape[-1:], weight, bias, NORM_EPS)

    def denoised(
        self, x: Tensor, output: Tensor, noise: Tensor | None, step: DenoisingStep, factors: Tensor
    ) -> Tensor:
        """One step back for tokens `(T, C)` with the head's `output` `(T, 2C)` and noise that has the step's spread.

        `factors` `(2C,)`: the step's, as `tables.factors_of` gives them; a product with a Python number takes twice the time.
        """
        scaled, log_scale = (output * factors).chunk(2, dim=-1)
        x = torch.add(scaled, x, alpha=step.x)
        return x if noise is None else torch.addcmul(x, log_scale.exp_(), noise)


class FusedRows(Rows):
    """Each by one kernel."""

    def modulated(
        self,
        x: Tensor,
        update: Tensor | None,
        gate: Tensor | None,
        scale: Tensor,
        shift: Tensor,
        kept: torch.dtype,
        out: torch.dtype,
    ) -> tuple[Tensor, Tensor]:
        return torch.ops.marval.residual_norm(x, update, gate, scale, shift, kept, out)

    def added(self, x: Tensor, update: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        return torch.ops.marval.residual_norm(x, update, None, weight, bias, x.dtype, x.dtype)

    def denoised(
        self, x: Tensor, output: Tensor, noise: Tensor | None, step: DenoisingStep, factors: Tensor
    ) -> Tensor:
        return torch.ops.marval.denoise(x, output, noise, step.x, step.prediction, step.rate)


def _as(x: Tensor, dtype: torch.dtype) -> Tensor:
    """`x.to(dtype)`, which is as slow as a small kernel where there is nothing to convert."""
    return x if x.dtype == dtype else x.to(dtype)


def rows_for(device: torch.device, outer: torch.dtype) -> Rows:
    """What suits a device, and tokens in `outer`; a meta device counts what a GPU would do."""
    if device.type == "cpu" or outer != torch.float32:
        return Rows()
    return FusedRows() if device.type == "meta" or _can_be_fused(device) else Rows()


@functools.cache
def _can_be_fused(device: torch.device) -> bool:
    """Whether Triton works on this machine (it wants a C compiler, and to know the GPU), and gives the same numbers."""
    try:
        apart = difference(device)
        if apart > TOLERANCE:
            raise ArithmeticError(f"fused kernels differ from torch's own by {apart:.1g}")
    except Exception as error:  # of many kinds
        logging.getLogger("marval").warning(
            "sampling without fused kernels: %s: %s", type(error).__name__, error
        )
        return False
    return True


def difference(device: torch.device) -> float:
    """The largest absolute difference between the two ways on `device`, on some random rows in float32."""
    draw = torch.Generator().manual_seed(0)
    rows = torch.randn(6, 5, CHECKED, generator=draw).to(device)
    x, update, gate, output, noise = rows[:5]
    scale, shift = rows[5, :2]
    single, step = torch.float32, DenoisingStep(t=500, x=1.1, prediction=-0.2, rate=0.3, spread=1.0)
    factors = factors_of([step], CHECKED // 2, single, device)[0]
    found: list[list[Tensor]] = []
    with torch.inference_mode():
        for way in (Rows(), FusedRows()):
            half = CHECKED // 2
            found.append(
                [
                    *way.modulated(x, update, gate, scale, shift, single, single),
                    *way.modulated(x, None, None, gate, update, single, single),
                    *way.added(x, update, scale, shift),
                    way.denoised(
                        x[:, :half].contiguous(), output, noise[:, :half].contiguous(), step, factors
                    ),
                    way.denoised(x[:, :half].contiguous(), output, None, step, factors),
                ]
            )
    return max((ours - theirs).abs().max().item() for ours, theirs in zip(*found, strict=True))


# the operations' signatures stand in their definitions above


def _residual_norm(*arguments: Any) -> tuple[Tensor, Tensor]:
    from marval.sampling.triton_rows import residual_norm

    return residual_norm(*arguments)


def _denoise(*arguments: Any) -> Tensor:
    from marval.sampling.triton_rows import denoise

    return denoise(*arguments)


def _shape_of_residual_norm(x: Tensor, *others: Any) -> tuple[Tensor, Tensor]:
    kept, out = others[-2:]
    return x.new_empty(x.shape, dtype=kept), x.new_empty(x.shape, dtype=out)


def _shape_of_denoise(x: Tensor, *_: object) -> Tensor:
    return x.new_empty(x.shape)


# a CPU comes here in Triton's interpreter alone
for _device in ("CPU", "CUDA"):
    OPERATIONS.impl("residual_norm", _residual_norm, _device)
    OPERATIONS.impl("denoise", _denoise, _device)
OPERATIONS.impl("residual_norm", _shape_of_residual_norm, "Meta")
OPERATIONS.impl("denoise", _shape_of_denoise, "Meta")
