"""The image tokenizer: a KL autoencoder (diffusers' `AutoencoderKL`) between images and normalised latent tokens.

Shapes: images `(B, 3, H, W)` in [-1, 1]; latents `(B, C, h, w)`; tokens `(B, h w, C)` in raster order (patch 1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from marval.config import Config

if TYPE_CHECKING:
    from diffusers import AutoencoderKL


class TokenizerConfig(Config):
    """Architecture of the autoencoder; the number of levels fixes the downsampling, f = 2^(levels - 1)."""

    image_channels: int = Field(3, ge=1, le=3, description="1: grey scans, repeated to RGB outside")
    latent_channels: int = Field(gt=0, le=64)
    channels: list[int] = Field(min_length=1, max_length=6)
    layers_per_block: int = Field(gt=0, le=4)
    norm_groups: int = Field(32, gt=0)
    attention: bool = Field(
        False, description="self-attention at the encoder's lowest level too, not only in the two middles"
    )
    latent_scale: float | None = Field(
        None, gt=0, description="fixed factor from latents to tokens; null: measured on the training images"
    )

    @model_validator(mode="after")
    def _groups_divide_channels(self) -> TokenizerConfig:
        if any(c % self.norm_groups for c in self.channels):
            raise ValueError(
                f"channels {self.channels} are not all divisible by norm_groups {self.norm_groups}"
            )
        return self

    @property
    def downsampling(self) -> int:
        """f: side of an image / side of its latents."""
        return 2 ** (len(self.channels) - 1)


def build_autoencoder(config: TokenizerConfig) -> AutoencoderKL:
    """An untrained autoencoder of the given size."""
    from diffusers import AutoencoderKL

    levels = len(config.channels)
    lowest = "AttnDownEncoderBlock2D" if config.attention else "DownEncoderBlock2D"
    return AutoencoderKL(
        in_channels=config.image_channels,
        out_channels=config.image_channels,
        latent_channels=config.latent_channels,
        block_out_channels=tuple(config.channels),
        layers_per_block=config.layers_per_block,
        norm_num_groups=config.norm_groups,
        down_block_types=("DownEncoderBlock2D",) * (levels - 1) + (lowest,),
        up_block_types=("UpDecoderBlock2D",) * levels,
    )


class Tokenizer(nn.Module):
    """A frozen autoencoder with the channel statistics that bring its latents to zero mean and unit deviation."""

    mean: Tensor
    std: Tensor

    def __init__(
        self, config: TokenizerConfig, autoencoder: AutoencoderKL, mean: Tensor, std: Tensor
    ) -> None:
        super().__init__()
        self.config = config
        self.autoencoder = autoencoder
        self.register_buffer("mean", mean.view(1, -1, 1, 1))
        self.register_buffer("std", std.view(1, -1, 1, 1))
        self.requires_grad_(False).eval()

    def encode_moments(self, images: Tensor) -> Tensor:
        """Posterior mean and standard deviation of the normalised latents, `(B, 2C, h, w)`."""
        posterior = self.autoencoder.encode(images[:, : self.config.image_channels]).latent_dist
        return torch.cat([(posterior.mean - self.mean) / self.std, posterior.std / self.std], dim=1)

    def decode(self, tokens_BNC: Tensor) -> Tensor:
        """RGB images `(B, 3, H, W)`, about [-1, 1] and not clipped; differentiable in the tokens."""
        batch, count, channels = tokens_BNC.shape
        side = round(count**0.5)
        latents = tokens_BNC.transpose(1, 2).reshape(batch, channels, side, side)
        images = self.autoencoder.decode(latents * self.std + self.mean).sample
        return images.expand(-1, 3, -1, -1) if self.config.image_channels == 1 else images


def tokens_from_moments(moments: Tensor, noise: Tensor) -> Tensor:
    """Draw latents from their posterior: moments `(B, 2C, h, w)`, noise `(B, C, h, w)` -> tokens `(B, h w, C)`."""
    mean, std = moments.chunk(2, dim=1)
    return (mean + std * noise).flatten(2).transpose(1, 2)


def to_bytes(images: Tensor) -> Tensor:
    """Images in [-1, 1] `(B, 3, H, W)` -> uint8 `(B, H, W, 3)`, clipped and rounded as a PNG would store them."""
    scaled = (images.clamp(-1, 1) + 1) * 127.5
    return scaled.round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def from_bytes(images: Tensor) -> Tensor:
    """uint8 `(B, H, W, 3)` -> float32 in [-1, 1] `(B, 3, H, W)`."""
    return images.permute(0, 3, 1, 2).float() / 127.5 - 1
