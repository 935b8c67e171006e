"""Pre-norm ViT block, with scaled-dot-product attention. Parameter names are those of timm's `Block`, as in MAR's checkpoints."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

MLP_RATIO = 4
NORM_EPS = 1e-6


class Attention(nn.Module):
    """Multi-head self-attention over `(B, L, D)`; dropout on the attention weights and on the output."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x_BLD: Tensor, first: int = 0) -> Tensor:
        """Of the rows from `first` on, which look at all rows."""
        q, k, v = (
            self._split(x_BLD, self.qkv.weight, self.qkv.bias) if first == 0 else self._from(x_BLD, first)
        )
        dropout = self.dropout if self.training else 0.0
        out = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout)
        out = self.proj(out.transpose(1, 2).flatten(2))
        return F.dropout(out, self.dropout, self.training)

    def _from(self, x_BLD: Tensor, first: int) -> tuple[Tensor, ...]:
        parts = [x_BLD.shape[-1], 2 * x_BLD.shape[-1]]
        (of_query, of_others), (bias, others) = self.qkv.weight.split(parts), self.qkv.bias.split(parts)
        return *self._split(x_BLD[:, first:], of_query, bias), *self._split(x_BLD, of_others, others)

    def _split(self, x_BLD: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, ...]:
        """The products that the rows of `weight` stand for, each `(B, heads, L, D / heads)`."""
        batch, length, width = x_BLD.shape
        products = F.linear(x_BLD, weight, bias).view(batch, length, -1, self.heads, width // self.heads)
        return products.permute(2, 0, 3, 1, 4).unbind(0)


class Mlp(nn.Module):
    """Linear, GELU, linear, with dropout after each."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        self.fc1 = nn.Linear(width, MLP_RATIO * width)
        self.fc2 = nn.Linear(MLP_RATIO * width, width)

    def forward(self, x: Tensor) -> Tensor:
        x = F.dropout(F.gelu(self.fc1(x)), self.dropout, self.training)
        return F.dropout(self.fc2(x), self.dropout, self.training)


class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)); of all rows, or of those from `first` on."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.checkpointed = False
        self.norm1 = nn.LayerNorm(width, eps=NORM_EPS)
        self.attn = Attention(width, heads, dropout)
        self.norm2 = nn.LayerNorm(width, eps=NORM_EPS)
        self.mlp = Mlp(width, dropout)

    def forward(self, x: Tensor, first: int = 0) -> Tensor:
        if self.checkpointed and torch.is_grad_enabled():
            return checkpoint(self._forward, x, first, use_reentrant=False)
        return self._forward(x, first)

    def _forward(self, x: Tensor, first: int) -> Tensor:
        x = x[:, first:] + self.attn(self.norm1(x), first)
        return x + self.mlp(self.norm2(x))


def checkpoint_blocks(model: nn.Module, checkpointed: bool) -> None:
    """Whether the blocks of `model` keep their activations or compute them again in the backward pass."""
    for module in model.modules():
        if isinstance(module, Block):
            module.checkpointed = checkpointed


def initialise_transformer(module: nn.Module) -> None:
    """MAR's initialisation for `module.apply`: Xavier linears, unit norms."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def gather_positions(x_BLD: Tensor, index_BM: Tensor) -> Tensor:
    """Rows `index` of each sequence: `(B, L, D)`, `(B, M)` -> `(B, M, D)`."""
    return torch.gather(x_BLD, 1, index_BM[..., None].expand(-1, -1, x_BLD.shape[-1]))


def sorted_positions(mask_BL: Tensor, count: int) -> Tensor:
    """Ascending positions `(B, count)` where `mask` is true; each row must have exactly `count`. No host sync."""
    return torch.argsort(mask_BL.logical_not().to(torch.uint8), dim=1, stable=True)[:, :count]
