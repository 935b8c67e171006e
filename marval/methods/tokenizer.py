"""Training of the KL autoencoder on small images: squared error plus a weak pull of the posterior to N(0, I)."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from marval.config import Config
from marval.models.tokenizer import TokenizerConfig, build_autoencoder
from marval.training.loop import Update
from marval.training.optimisation import OptimiserConfig, averaged, build_optimiser


class TokenizerTraining(Config):
    """Settings of the `tokenizer` stage."""

    model: TokenizerConfig
    optimiser: OptimiserConfig
    steps: int = Field(gt=0)
    batch: int = Field(gt=0)
    ema: float = Field(ge=0, lt=1)
    reconstruction_weight: float = Field(gt=0)
    kl_weight: float = Field(ge=0)
    seed: int = Field(ge=0)
    threads: int = Field(1, gt=0)


class TokenizerMethod:
    """Trains on images `(B, 3, H, W)` in [-1, 1] drawn with replacement."""

    def __init__(self, config: TokenizerTraining, images: Tensor) -> None:
        self.config = config
        self.images = images[:, : config.model.image_channels]
        self.autoencoder = build_autoencoder(config.model).train()
        self.average: AveragedModel = averaged(self.autoencoder, config.ema)
        self.ema = {"autoencoder": (self.average, self.autoencoder)}
        optimiser = build_optimiser(self.autoencoder, config.optimiser)
        self.updates = [
            Update(
                "autoencoder",
                self.autoencoder,
                optimiser,
                self.loss,
                config.optimiser.clip,
                config.optimiser.warmup_steps,
            )
        ]

    def draw(self, step: int) -> Tensor:
        return self.images[torch.randint(len(self.images), (self.config.batch,))]

    def loss(self, images: Tensor) -> dict[str, Tensor]:
        posterior = self.autoencoder.encode(images).latent_dist
        decoded = self.autoencoder.decode(posterior.sample()).sample
        error = (decoded - images).square().mean(dim=(1, 2, 3))
        return {
            "loss_reconstruction": self.config.reconstruction_weight * error,
            "loss_kl": self.config.kl_weight * posterior.kl(),
        }
