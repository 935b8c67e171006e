"""The transformer over tokens kept in the order in which they are revealed, so that an AR step takes slices and no indices.

Attention does not mind the order of its positions. With the positions of an image sorted by its unmasking order, what is known
is the tail [before:], what is predicted now [after:before], and the buffer comes last; the positional embeddings are sorted once
an image. Of the last decoder block only the rows that are predicted now are computed, and the head's projection of the condition
follows at once. A known token enters the encoder as it did when it was revealed: its embedding is computed once.

Shapes: B images, G branches (conditional, then unconditional), N positions, L = N + buffer, C channels, D width, W head width.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from marval.models.mar import MAR
from marval.models.transformer import NORM_EPS, Block
from marval.sampling.rows import Rows, rows_for

Affine = tuple[Tensor, Tensor]  # weight and bias, of a linear or a norm


class Canvas(NamedTuple):
    """The images under way, everything sorted by their orders."""

    encoder_input: (
        Tensor  # (G B, L, D), filled from the tail as tokens are revealed; the buffer is there from the start
    )
    encoder_position: Tensor  # (B, N, D)
    decoder_masked: Tensor  # (G B, N, D) what the decoder sees of a masked position
    decoder_position: Tensor  # (G B, L, D)
    condition_position: Tensor  # (B, N, W) the diffusion position, projected


class Backbone:
    """The weights of a MAR's transformer in `dtype`, for inference."""

    def __init__(self, model: MAR, dtype: torch.dtype, rows: Rows | None = None) -> None:
        """`rows`: by default what suits the model's device."""
        outer = torch.promote_types(dtype, torch.float32)
        self.rows = rows or rows_for(model.fake_latent.device, outer)

        def kept(*parameters: Tensor) -> tuple[Tensor, ...]:
            return tuple(p.detach().to(dtype) for p in parameters)

        def affine(module: nn.Linear | nn.LayerNorm) -> Affine:
            weight, bias = kept(module.weight, module.bias)
            return weight, bias

        self.dtype, self.config = dtype, model.config
        self.encoder, self.decoder = (
            [_BlockWeights(cast(Block, block), dtype, self.rows) for block in blocks]
            for blocks in (model.encoder_blocks, model.decoder_blocks)
        )
        self.token, self.token_norm = affine(model.z_proj), affine(model.z_proj_ln)
        self.encoder_norm, self.decoder_norm = affine(model.encoder_norm), affine(model.decoder_norm)
        self.embed, self.project = affine(model.decoder_embed), affine(model.head.cond_embed)
        self.encoder_position, self.decoder_position = kept(
            model.encoder_pos_embed_learned[0], model.decoder_pos_embed_learned[0]
        )
        self.classes, self.null, self.mask = kept(
            model.class_emb.weight, model.fake_latent, model.mask_token[0]
        )
        self.condition_position = F.linear(
            model.diffusion_pos_embed_learned[0].detach(), model.head.cond_embed.weight.detach()
        ).to(dtype)

    def canvas(self, embeddings: Tensor, order: Tensor) -> Canvas:
        """Empty images for class embeddings `(G B, D)` and orders `(B, N)`."""
        buffer, (batch, count) = self.config.buffer_tokens, order.shape
        branches = len(embeddings) // batch
        prefix = _normed(embeddings[:, None] + self.encoder_position[:buffer], self.token_norm)
        encoder_input = prefix.new_zeros(len(prefix), count + buffer, prefix.shape[-1])
        encoder_input[:, count:] = prefix
        ends = self.decoder_position[:buffer].expand(batch, -1, -1)
        decoder_position = torch.cat([self.decoder_position[buffer:][order], ends], dim=1)
        return Canvas(
            encoder_input,
            self.encoder_position[buffer:][order],
            (decoder_position[:, :count] + self.mask).repeat(branches, 1, 1),
            decoder_position.repeat(branches, 1, 1),
            self.condition_position[order],
        )

    def reveal(self, canvas: Canvas, tokens: Tensor, after: int, before: int) -> None:
        """Put tokens `(B, before - after, C)` where they are from now on known."""
        known = F.linear(tokens.to(self.dtype), *self.token) + canvas.encoder_position[:, after:before]
        by_branch = canvas.encoder_input.unflatten(0, (-1, len(tokens)))
        by_branch[:, :, after:before] = _normed(known, self.token_norm)

    def encode(self, canvas: Canvas, before: int) -> Tensor:
        """The encoder's output `(G B, L - before, D)` for what is known."""
        return self._through(self.encoder, self.encoder_norm, canvas.encoder_input[:, before:])

    def decode(self, canvas: Canvas, after: int, before: int, encoded: Tensor) -> Tensor:
        """The head's projected conditions `(B, before - after, G, W)` of the positions that are predicted now."""
        known = F.linear(encoded, *self.embed) + canvas.decoder_position[:, before:]
        x = torch.cat([canvas.decoder_masked[:, :before], known], dim=1)
        z = self._through(self.decoder, self.decoder_norm, x, after, before)
        position = canvas.condition_position[:, after:before]
        projected = F.linear(z, *self.project).unflatten(0, (-1, len(position))) + position
        return projected.permute(1, 2, 0, 3).contiguous()

    def _through(
        self, blocks: list[_BlockWeights], norm: Affine, x: Tensor, first: int = 0, last: int | None = None
    ) -> Tensor:
        """All blocks and the norm after them; of the last block only the rows first:last."""
        h = _normed(x, blocks[0].weights[0])
        for block, following in pairwise(blocks):
            x, h = block(x, h, following.weights[0])
        return blocks[-1](x, h, norm, first, last)[1]


def _normed(x: Tensor, norm: Affine) -> Tensor:
    return torch.layer_norm(x, x.shape[-1:], *norm, NORM_EPS)


class _BlockWeights:
    """One pre-norm block."""

    def __init__(self, block: Block, dtype: torch.dtype, rows: Rows) -> None:
        self.heads, self.rows = block.attn.heads, rows
        modules = block.norm1, block.attn.qkv, block.attn.proj, block.norm2, block.mlp.fc1, block.mlp.fc2
        self.weights: list[Affine] = [
            (m.weight.detach().to(dtype), m.bias.detach().to(dtype)) for m in modules
        ]

    def __call__(
        self, x: Tensor, h: Tensor, following: Affine, first: int = 0, last: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """Rows first:last `(B, last - first, D)` of the block's output for `(B, L, D)`, and normed by the norm that follows.

        `h`: x, normed by this block's first norm.
        """
        _, qkv, proj, norm2, fc1, fc2 = self.weights
        batch, length, width = x.shape
        if last is None:
            q, k, v = (
                F.linear(h, *qkv).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
            )
        else:
            x = x[:, first:last]
            q = F.linear(h[:, first:last], qkv[0][:width], qkv[1][:width])
            q = q.view(batch, last - first, self.heads, -1).transpose(1, 2)
            kv = F.linear(h, qkv[0][width:], qkv[1][width:]).view(batch, length, 2, self.heads, -1)
            k, v = kv.permute(2, 0, 3, 1, 4).unbind(0)
        attended = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(x.shape)
        x, h = self.rows.added(x, F.linear(attended, *proj), *norm2)
        return self.rows.added(x, F.linear(F.gelu(F.linear(h, *fc1)), *fc2), *following)
