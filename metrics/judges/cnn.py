"""Miniature of the Inception network: a small classifier whose penultimate features carry the Frechet
distance.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from metrics.judges.augmentation import jittered
from metrics.judges.base import Judge, unit_float
from metrics.judges.settings import CnnConfig


class Cnn(Judge):
    """Three strided convolutions, one hidden layer of `features` units, one linear layer to the classes."""

    kind = "cnn"
    quantity = "held-out accuracy"
    knows_labels = True
    resize: str | None = None
    config: CnnConfig

    def __init__(self, config: CnnConfig, class_names: list[str], template: str) -> None:
        super().__init__(config, class_names, template)
        width, cells = config.width, (config.image_size // 8) ** 2
        self.body = nn.Sequential(
            nn.Conv2d(3, width, 5, 2, 2),
            nn.GELU(),
            nn.Conv2d(width, 2 * width, 3, 2, 1),
            nn.GELU(),
            nn.Conv2d(2 * width, 4 * width, 3, 2, 1),
            nn.GELU(),
            nn.Flatten(),
            nn.Linear(4 * width * cells, config.features),
            # no activation after it: the Frechet distance takes features for Gaussian; the norm fixes their
            # scale
            nn.LayerNorm(config.features, elementwise_affine=False),
        )
        self.head = nn.Linear(config.features, len(class_names))

    def features(self, images: Tensor) -> Tensor:
        """(B, features) penultimate activations."""
        return self.body(self.normalise(images))

    def logits(self, images: Tensor) -> Tensor:
        """(B, K) class logits."""
        return self.head(self.features(images))

    def are_right(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        """(B,) bool: where the asked class has the largest logit."""
        return self.logits(images).argmax(1) == labels

    def training_loss(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        """(B,) cross-entropy on randomly moved images."""
        return F.cross_entropy(
            self.logits(jittered(unit_float(images), self.config.jitter, generator)), labels, reduction="none"
        )
