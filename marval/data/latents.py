"""Cached latents: posterior moments of every training image, from which a fresh sample is drawn each time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from marval.artifacts import read_tensors, write_tensors
from marval.models.tokenizer import tokens_from_moments


@dataclass(frozen=True)
class LatentBatches:
    """Moments `(n, 2C, h, w)` of normalised latents and labels `(n,)`."""

    moments: Tensor
    labels: Tensor

    def draw(self, batch: int) -> tuple[Tensor, Tensor]:
        """Tokens `(batch, h w, C)` and labels of images drawn with replacement, from torch's global generator."""
        index = torch.randint(len(self.labels), (batch,))
        moments = self.moments[index]
        return tokens_from_moments(moments, torch.randn_like(moments.chunk(2, dim=1)[0])), self.labels[index]

    def save(self, path: Path) -> None:
        write_tensors(path, {"moments": self.moments, "labels": self.labels})

    @classmethod
    def load(cls, path: Path) -> LatentBatches:
        return cls(**read_tensors(path))
