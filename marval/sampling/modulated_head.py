"""The denoising head, cut into what depends on the noisy token and what does not.

Shift, scale and gate of all blocks depend on time and condition alone, so they can be had for many diffusion steps by one
matrix product, which reads the largest weights of the head once instead of once a step. Three foldings change nothing but
rounding: the affine part of a block's norm and the 1 of "1 + scale" go into the modulation's weights; the branches of guidance
share the input's product; and guidance, being linear, goes into the output's weights.

Shapes: T tokens, G branches (2 with guidance: conditional, unconditional), R = T G rows with the branch running fastest, C
token channels, W head width, M = 3 blocks + 2 modulations, n diffusion steps.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from marval.models.head import DenoisingHead, HeadBlock
from marval.sampling.rows import Rows, rows_for


class ModulatedHead:
    """The weights of a head for inference; blocks compute in `dtype`, the products at input and output at least in float32."""

    def __init__(
        self, head: DenoisingHead, branches: int, dtype: torch.dtype, rows: Rows | None = None
    ) -> None:
        """`rows`: by default what suits the head's device."""
        outer = torch.promote_types(dtype, torch.float32)
        self.rows = rows or rows_for(head.input_proj.weight.device, outer)
        self.dtype, self.branches, self.width = dtype, branches, head.input_proj.out_features
        weights, biases = zip(*_modulation_parts(head), strict=True)
        self.modulation = (torch.cat(weights).to(dtype), torch.cat(biases).to(dtype))
        self.blocks = [
            tuple(p.to(dtype) for linear in (up, down) for p in (linear.weight.t(), linear.bias))
            for up, down in ((_linear(block.mlp, 0), _linear(block.mlp, 2)) for block in _blocks(head))
        ]
        inputs = head.input_proj
        self.input = (inputs.weight.t().repeat(1, branches).to(outer), inputs.bias.repeat(branches).to(outer))
        self.output_bias = head.final_layer.linear.bias.to(outer)
        self._plain, self._guidance = (w.to(outer) for w in _output_parts(head, branches))

    def output_weight(self, scale: Tensor) -> Tensor:
        """`(G W, 2C)`: from the rows of a token to the noise prediction guided with `scale` (0-d), and v."""
        return torch.addcmul(self._plain, self._guidance, scale) if self.branches == 2 else self._plain

    def modulation_bytes(self, rows: int) -> int:
        """Size of the modulations of one diffusion step."""
        weight, _ = self.modulation
        return rows * len(weight) * weight.element_size()

    def modulation_weight_bytes(self) -> int:
        """Size of the weights that give the modulations."""
        weight, _ = self.modulation
        return weight.numel() * weight.element_size()

    def modulations(self, time: Tensor, condition: Tensor) -> list[tuple[Tensor, ...]]:
        """For each of n times `(n, W)` the M modulations `(R, W)` of the rows' conditions `(R, W)`."""
        y = F.silu(time[:, None] + condition)
        rows = F.linear(y, *self.modulation).view(len(time), len(condition), -1, self.width)
        return [step.unbind(1) for step in rows.unbind(0)]

    def __call__(self, x: Tensor, modulations: tuple[Tensor, ...], output_weight: Tensor) -> Tensor:
        """Guided noise prediction and v `(T, 2C)` of noisy tokens `(T, C)`."""
        weight, bias = self.input
        h = torch.addmm(bias, x, weight).view(-1, self.width)
        update = gate = None
        for i, (up, up_bias, down, down_bias) in enumerate(self.blocks):
            shift, scale, next_gate = modulations[3 * i : 3 * i + 3]
            h, inner = self.rows.modulated(h, update, gate, scale, shift, self.dtype, self.dtype)
            update = torch.addmm(down_bias, F.silu(torch.addmm(up_bias, inner, up), inplace=True), down)
            gate = next_gate
        shift, scale = modulations[-2:]
        _, h = self.rows.modulated(h, update, gate, scale, shift, self.dtype, output_weight.dtype)
        return torch.addmm(self.output_bias, h.view(len(x), -1), output_weight)


def _modulation_parts(head: DenoisingHead) -> list[tuple[Tensor, Tensor]]:
    """(weight, bias) of the M modulations, so that norm(x) scale + shift is the modulated norm with its affine part."""
    parts = []
    for block in _blocks(head):
        linear, g, b = _linear(block.adaLN_modulation, 0), block.in_ln.weight, block.in_ln.bias
        shift, scale, gate = linear.weight.chunk(3)
        shift_bias, scale_bias, gate_bias = linear.bias.chunk(3)
        parts += [
            (b[:, None] * scale + shift, b * (1 + scale_bias) + shift_bias),
            (g[:, None] * scale, g * (1 + scale_bias)),
            (gate, gate_bias),
        ]
    linear = _linear(head.final_layer.adaLN_modulation, 0)
    (shift, scale), (shift_bias, scale_bias) = linear.weight.chunk(2), linear.bias.chunk(2)
    return [*parts, (shift, shift_bias), (scale, 1 + scale_bias)]


def _output_parts(head: DenoisingHead, branches: int) -> tuple[Tensor, Tensor]:
    """P and Q `(G W, 2C)` with P + w Q the output's weight at guidance w: eps_null + w (eps - eps_null), and v."""
    eps, v = head.final_layer.linear.weight.t().chunk(2, dim=1)
    if branches == 1:
        return torch.cat([eps, v], dim=1), torch.zeros_like(v)
    zero = torch.zeros_like(eps)
    plain = torch.cat([torch.cat([zero, v], dim=1), torch.cat([eps, zero], dim=1)])
    guidance = torch.cat([torch.cat([eps, zero], dim=1), torch.cat([-eps, zero], dim=1)])
    return plain, guidance


def _blocks(head: DenoisingHead) -> list[HeadBlock]:
    return cast(list[HeadBlock], list(head.res_blocks))


def _linear(layers: nn.Sequential, index: int) -> nn.Linear:
    return cast(nn.Linear, layers[index])
