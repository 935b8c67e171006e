"""The image tokenizer: a KL autoencoder (diffusers' `AutoencoderKL`) between images and normalised latent tokens.

Shapes: images `(B, 3, H, W)` in [-1, 1]; latents `(B, C, h, w)` with C = token_channels: where the patch is p > 1, those of p x p
positions of the autoencoder are channels of one (channel-major, as MAR's patchify); tokens `(B, h w, C)` in raster order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from marval.models.settings import TokenizerConfig

if TYPE_CHECKING:
    from diffusers import AutoencoderKL


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
        mean, std = (pixel_unshuffle(part, self.config.patch) for part in (posterior.mean, posterior.std))
        return torch.cat([(mean - self.mean) / self.std, std / self.std], dim=1)

    def decode(self, tokens_BNC: Tensor) -> Tensor:
        """RGB images `(B, 3, H, W)`, about [-1, 1] and not clipped; differentiable in the tokens."""
        batch, count, channels = tokens_BNC.shape
        side = round(count**0.5)
        latents = tokens_BNC.transpose(1, 2).reshape(batch, channels, side, side)
        latents = pixel_shuffle(latents * self.std + self.mean, self.config.patch)
        images = self.autoencoder.decode(latents).sample
        return images.expand(-1, 3, -1, -1) if self.config.image_channels == 1 else images


def random_tokenizer(size: TokenizerConfig) -> Tokenizer:
    """An untrained tokenizer; its latents' statistics change no time."""
    channels = size.token_channels
    return Tokenizer(size, build_autoencoder(size), torch.zeros(channels), torch.ones(channels))


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
