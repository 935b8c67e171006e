"""Architectures: sizes of the tokenizer, of MAR and of its denoising head. No torch here: presets are parsed without it."""

from __future__ import annotations

from pydantic import Field, model_validator

from marval.config import Config, Positive


class TokenizerConfig(Config):
    """Architecture of the autoencoder; the number of levels fixes the downsampling, f = 2^(levels - 1)."""

    image_channels: int = Field(3, ge=1, le=3, description="1: grey scans, repeated to RGB outside")
    latent_channels: int = Field(gt=0, le=64)
    patch: int = Field(
        1,
        gt=0,
        le=16,
        description="p: p x p positions of the latents are one token; patch_size of MAR's code",
    )
    channels: list[Positive] = Field(min_length=1, max_length=6)
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

    @property
    def pixels(self) -> int:
        """f p: side of the part of an image, in pixels, that a token stands for."""
        return self.downsampling * self.patch

    @property
    def token_channels(self) -> int:
        """C of a token: the latents' channels of p x p positions."""
        return self.latent_channels * self.patch**2


class HeadConfig(Config):
    """Size of the head; MAR-B/L/H have 1024 x 6, 1280 x 8, 1536 x 12."""

    width: int = Field(gt=0, le=8192)
    blocks: int = Field(gt=0, le=64)


class MARConfig(Config):
    """Architecture; everything that is needed to rebuild the network from its weights."""

    side: int = Field(gt=0, le=256, description="tokens along one side of the image; N = side^2")
    channels: int = Field(gt=0, le=4096, description="C, channels of a token")
    classes: int = Field(gt=0, le=100_000)
    width: int = Field(gt=0, le=8192)
    encoder_blocks: int = Field(gt=0, le=64)
    decoder_blocks: int = Field(gt=0, le=64)
    heads: int = Field(gt=0, le=64)
    buffer_tokens: int = Field(64, gt=0, le=1024)
    dropout: float = Field(0.1, ge=0, lt=1)
    head: HeadConfig

    @model_validator(mode="after")
    def _heads_divide_width(self) -> MARConfig:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not divisible by heads {self.heads}")
        return self

    @property
    def tokens(self) -> int:
        """N, positions of an image."""
        return self.side**2
