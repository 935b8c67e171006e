"""Settings of the stage `encode`; free of torch, so that reading a preset stays quick."""

from __future__ import annotations

from pydantic import Field

from marval.config import Config


class EncodeConfig(Config):
    """Section `encode`."""

    mirror: bool = Field(description="keep the latents of each image's mirror image as well")
    batch: int = Field(256, gt=0, description="images that the autoencoder sees at once")
    shard: int = Field(2048, gt=0, description="images in a file, which an interruption may cost")
