"""The operations of `marval.sampling.rows` as kernels of Triton: one program for each row, or for each piece of the tokens.

Sums and products are float32 inside. The residual is rounded to its type before the norm reads it, as torch's own operations
leave it. `TRITON_INTERPRET=1` runs them on a CPU.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from marval.models.transformer import NORM_EPS

PIECE = 256  # numbers of a program of `_denoise`
WIDE = 1024  # from this on a row has eight warps


@triton.jit
def _residual_norm(
    x: tl.tensor, update: tl.tensor, gate: tl.tensor, scale: tl.tensor, shift: tl.tensor, kept: tl.tensor, out: tl.tensor,
    width: tl.tensor, gate_stride: tl.tensor, scale_stride: tl.tensor, shift_stride: tl.tensor, eps: tl.tensor,
    UPDATED: tl.constexpr, GATED: tl.constexpr, BLOCK: tl.constexpr,
) -> None:  # fmt: skip
    row, column = tl.program_id(0).to(tl.int64), tl.arange(0, BLOCK)
    inside = column < width
    at = row * width + column
    h = tl.load(x + at, mask=inside, other=0.0).to(tl.float32)
    if UPDATED:
        more = tl.load(update + at, mask=inside, other=0.0).to(tl.float32)
        if GATED:
            more *= tl.load(gate + row * gate_stride + column, mask=inside, other=0.0).to(tl.float32)
        h += more
    rounded = h.to(kept.dtype.element_ty)
    tl.store(kept + at, rounded, mask=inside)
    h = rounded.to(tl.float32)
    apart = tl.where(inside, h - tl.sum(h, 0) / width, 0.0)
    normed = apart * tl.rsqrt(tl.sum(apart * apart, 0) / width + eps)
    times = tl.load(scale + row * scale_stride + column, mask=inside, other=0.0).to(tl.float32)
    plus = tl.load(shift + row * shift_stride + column, mask=inside, other=0.0).to(tl.float32)
    tl.store(out + at, (normed * times + plus).to(out.dtype.element_ty), mask=inside)


@triton.jit
def _denoise(
    x: tl.tensor, output: tl.tensor, noise: tl.tensor, new: tl.tensor, count: tl.tensor, channels: tl.tensor,
    a: tl.tensor, b: tl.tensor, rate: tl.tensor,
    NOISY: tl.constexpr, BLOCK: tl.constexpr,
) -> None:  # fmt: skip
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < count
    prediction = output + at // channels * 2 * channels + at % channels
    y = a * tl.load(x + at, mask=inside, other=0.0) + b * tl.load(prediction, mask=inside, other=0.0)
    if NOISY:
        deviation = tl.exp(rate * tl.load(prediction + channels, mask=inside, other=0.0))
        y += deviation * tl.load(noise + at, mask=inside, other=0.0)
    tl.store(new + at, y, mask=inside)


def residual_norm(
    x: Tensor,
    update: Tensor | None,
    gate: Tensor | None,
    scale: Tensor,
    shift: Tensor,
    kept: torch.dtype,
    out: torch.dtype,
) -> tuple[Tensor, Tensor]:
    """x + gate update (no update: x; no gate: 1) in `kept`, and its norm times scale plus shift in `out`, shaped as x.

    gate, scale, shift: a row for each of x's, or one `(W,)` for all.
    """
    x, width = x.contiguous(), x.shape[-1]
    first, second = torch.empty_like(x, dtype=kept), torch.empty_like(x, dtype=out)
    block = triton.next_power_of_2(width)
    _residual_norm[(x.numel() // width,)](
        x, x if update is None else update.contiguous(), x if gate is None else gate, scale, shift, first, second,
        width, 0 if gate is None else _stride(gate), _stride(scale), _stride(shift), NORM_EPS,
        UPDATED=update is not None, GATED=gate is not None, BLOCK=block, num_warps=8 if block > WIDE else 4,
        enable_fp_fusion=True,
    )  # fmt: skip
    return first, second


def denoise(x: Tensor, output: Tensor, noise: Tensor | None, a: float, b: float, rate: float) -> Tensor:
    """a x + b eps + exp(rate v) noise for tokens `(T, C)`, with eps and v side by side in `output` `(T, 2C)`."""
    x, output = x.contiguous(), output.contiguous()
    new, count = torch.empty_like(x), x.numel()
    _denoise[(triton.cdiv(count, PIECE),)](
        x, output, x if noise is None else noise.contiguous(), new, count, x.shape[-1], a, b, rate,
        NOISY=noise is not None, BLOCK=PIECE, enable_fp_fusion=True,
    )  # fmt: skip
    return new


def _stride(rows: Tensor) -> int:
    """From one row to the next; ValueError for rows that lie in any other way."""
    if rows.stride(-1) != 1 or rows.dim() > 2:
        raise ValueError(
            f"rows must be contiguous, and at most a matrix: {tuple(rows.shape)}, {rows.stride()}"
        )
    return rows.stride(0) if rows.dim() == 2 else 0
