"""The denoising head: an MLP of AdaLN residual blocks on one token (MAR, section 3; equation 3's epsilon_theta).

Shapes: T tokens (any leading arrangement is flattened by the caller), C token channels, W head width, D condition width.
"""

from __future__ import annotations

import math
from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from marval.models.settings import HeadConfig

TIME_FEATURES = 256
MAX_PERIOD = 10_000


def time_features(t: Tensor) -> Tensor:
    """Sinusoidal features `(T, 256)` of timesteps `(T,)`: cosines first, then sines."""
    half = TIME_FEATURES // 2
    frequencies = torch.exp(
        -math.log(MAX_PERIOD) * torch.arange(half, dtype=torch.float32, device=t.device) / half
    )
    angles = t[:, None].float() * frequencies
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


class TimeEmbedding(nn.Module):
    """Timesteps `(T,)` -> `(T, W)`."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(TIME_FEATURES, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, t: Tensor) -> Tensor:
        return self.mlp(time_features(t).to(next(self.parameters()).dtype))


def modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """AdaLN: x (1 + scale) + shift."""
    return x * (1 + scale) + shift


def modulation(width: int, count: int) -> nn.Sequential:
    """`count` modulations, linear in SiLU(time + condition). The activation has no weights and is the same for all of a head,
    which computes it once; in checkpoints it stands before the linear layer, hence that one's name.
    """
    return nn.Sequential(OrderedDict({"1": nn.Linear(width, count * width)}))


class HeadBlock(nn.Module):
    """x + gate * MLP(modulate(norm(x))), for the activated sum y of time and condition."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.in_ln = nn.LayerNorm(width, eps=1e-6)
        self.mlp = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.adaLN_modulation = modulation(width, 3)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        shift, scale, gate = self.adaLN_modulation(y).chunk(3, dim=-1)
        return x + gate * self.mlp(modulate(self.in_ln(x), shift, scale))


class FinalLayer(nn.Module):
    """Norm without parameters, modulated, then linear to the outputs."""

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, outputs)
        self.adaLN_modulation = modulation(width, 2)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        shift, scale = self.adaLN_modulation(y).chunk(2, dim=-1)
        return self.linear(modulate(F.layer_norm(x, x.shape[-1:], eps=1e-6), shift, scale))


class DenoisingHead(nn.Module):
    """(x_t `(T, C)`, t `(T,)`, condition `(T, D)`) -> noise prediction and variance interpolation, `(T, 2C)`."""

    def __init__(self, config: HeadConfig, channels: int, condition_width: int) -> None:
        super().__init__()
        self.channels = channels
        self.time_embed = TimeEmbedding(config.width)
        self.cond_embed = nn.Linear(condition_width, config.width)
        self.input_proj = nn.Linear(channels, config.width)
        self.res_blocks = nn.ModuleList(HeadBlock(config.width) for _ in range(config.blocks))
        self.final_layer = FinalLayer(config.width, 2 * channels)
        self._initialise()

    def _initialise(self) -> None:
        """MAR's: Xavier linears, small time embedding, zero modulations and zero output, so that it starts at 0."""
        linears = {name: module for name, module in self.named_modules() if isinstance(module, nn.Linear)}
        for name, linear in linears.items():
            nn.init.zeros_(linear.bias)
            if "adaLN" in name or name == "final_layer.linear":
                nn.init.zeros_(linear.weight)
            elif name.startswith("time_embed"):
                nn.init.normal_(linear.weight, std=0.02)
            else:
                nn.init.xavier_uniform_(linear.weight)

    def forward(self, x_t: Tensor, t: Tensor, condition: Tensor) -> Tensor:
        return self.forward_embedded(x_t, self.time_embed(t), self.cond_embed(condition))

    def forward_embedded(self, x_t: Tensor, time: Tensor, condition: Tensor) -> Tensor:
        """The same from embeddings `(T, W)` (either may be `(1, W)`), which a caller may compute once for many steps."""
        x = self.input_proj(x_t)
        y = F.silu(time + condition)
        for block in self.res_blocks:
            x = block(x, y)
        return self.final_layer(x, y)

    def noise(self, x_t: Tensor, t: Tensor, condition: Tensor) -> Tensor:
        """The noise prediction alone, `(T, C)`."""
        return self(x_t, t, condition)[..., : self.channels]
