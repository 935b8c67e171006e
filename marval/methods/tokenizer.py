"""Training of the KL autoencoder on small images: squared error plus a weak divergence of the posterior from N(0, I)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from marval.batches import CPU, Share
from marval.methods.settings import TokenizerTraining
from marval.models.tokenizer import build_autoencoder
from marval.training.loop import Update
from marval.training.optimisation import averaged, build_optimiser


@dataclass(frozen=True)
class TokenizerBatch:
    """Images `(B, 3, H, W)` in [-1, 1], and the noise of their latents."""

    images: Tensor
    noise: Tensor


class TokenizerMethod:
    """Trains on images `(B, 3, H, W)` in [-1, 1] drawn with replacement."""

    def __init__(self, config: TokenizerTraining, images: Tensor, device: torch.device = CPU) -> None:
        self.config, self.batch = config, config.batch
        self.images = images[:, : config.model.image_channels]
        self.autoencoder = build_autoencoder(config.model).train().to(device)
        self.average: AveragedModel = averaged(self.autoencoder, config.ema)
        self.ema = {"autoencoder": (self.average, self.autoencoder)}
        optimiser = build_optimiser(self.autoencoder, config.optimiser)
        self.updates = [Update("autoencoder", self.autoencoder, optimiser, self.loss, config.optimiser)]

    def draw(self, share: Share) -> TokenizerBatch:
        index = share.on_host().randint(0, len(self.images), share.total)
        latents = [side // self.config.model.downsampling for side in self.images.shape[2:]]
        noise = share.randn(share.total, self.config.model.latent_channels, *latents)
        return TokenizerBatch(share.place(self.images[index]), noise)

    def loss(self, batch: TokenizerBatch) -> dict[str, Tensor]:
        posterior = self.autoencoder.encode(batch.images).latent_dist
        decoded = self.autoencoder.decode(posterior.mean + posterior.std * batch.noise).sample
        error = (decoded - batch.images).square().mean(dim=(1, 2, 3))
        return {
            "loss_reconstruction": self.config.reconstruction_weight * error,
            "loss_kl": self.config.kl_weight * posterior.kl(),
        }
