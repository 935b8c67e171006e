"""What MAR training and distillation draw alike: masked images, and noise levels for their masked tokens.

All that is random is drawn here, before any network runs, for the whole batch of a step; see `marval.batches`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from marval.batches import Share
from marval.masking.law import MaskingLaw
from marval.masking.orders import first_masked, random_orders
from marval.models.head import DenoisingHead
from marval.models.mar import MAR
from marval.models.tokenizer import tokens_from_moments
from marval.models.transformer import gather_positions
from marval.noise import TRAINING_STEPS
from marval.noise.conversions import diffuse
from marval.noise.schedule import NoiseSchedule

if TYPE_CHECKING:
    from marval.data.latents import LatentBatches  # reads files by pyarrow


@dataclass(frozen=True)
class MaskedBatch:
    """Images with the same number of masked tokens."""

    tokens: Tensor  # (B, N, C)
    labels: Tensor  # (B,)
    masked: Tensor  # (B, N) bool
    masked_count: int  # M

    @cached_property
    def order(self) -> Tensor:
        """Positions `(B, N)`: the known ones, then the masked ones, both ascending."""
        return torch.argsort(self.masked.to(torch.uint8), dim=1, stable=True)

    def masked_rows(self, x_BND: Tensor) -> Tensor:
        """Rows of the masked positions of all images, `(B M, D)`."""
        return gather_positions(x_BND, self.order[:, -self.masked_count :]).flatten(0, 1)

    def encode(self, model: MAR, embedding: Tensor) -> Tensor:
        """What `model` makes of the known tokens, for class embeddings `(B, D)`."""
        return model.encode(self.tokens, self.order[:, : -self.masked_count], embedding)

    def decode(self, model: MAR, encoded: Tensor) -> Tensor:
        """z `(B M, D)` of the masked positions of all images."""
        return model.decode_masked(encoded, self.order).flatten(0, 1)

    def conditions(self, model: MAR, embedding: Tensor) -> Tensor:
        """z `(B M, D)` of the masked positions of all images, for class embeddings `(B, D)`."""
        return self.decode(model, self.encode(model, embedding))


def rows_of(data: LatentBatches, share: Share) -> Tensor:
    """The images of a share, drawn with replacement: the first thing that is drawn of a step, so that they can be read ahead."""
    return share.on_host().randint(0, len(data), share.total)


def draw_masked(data: LatentBatches, share: Share, law: MaskingLaw) -> MaskedBatch:
    """Images drawn with replacement, fresh latents from their posteriors, random orders, one masking ratio from the law.

    MAR draws a count for each of its processes; one for all keeps their shapes equal, and the result that of one process.
    """
    index = rows_of(data, share)
    moments = share.place(data.moments(index))
    channels, height, width = moments.shape[1] // 2, *moments.shape[2:]
    masked_count = law.draw_count(height * width)
    tokens = tokens_from_moments(moments, share.randn(share.total, channels, height, width))
    orders = random_orders(share.rand(share.total, height * width))
    labels = share.place(data.labels[index])
    return MaskedBatch(tokens, labels, first_masked(orders, masked_count), masked_count)


@dataclass(frozen=True)
class Levels:
    """Noise for T tokens, and the level at which each is diffused."""

    t: Tensor  # (T,)
    noise: Tensor  # (T, C)

    def diffuse(self, x0: Tensor, schedule: NoiseSchedule) -> Tensor:
        """x_t `(T, C)`."""
        return diffuse(x0, self.noise, schedule.alpha[self.t][:, None], schedule.sigma[self.t][:, None])


def draw_levels(
    share: Share, tokens: int, channels: int, low: int = 0, high: int = TRAINING_STEPS, repeats: int = 1
) -> Levels:
    """For `tokens` tokens of each image, `repeats` times over (all images, then all again); t is uniform in [low, high)."""
    t = share.randint(low, high, repeats, share.total, tokens, axis=1)
    noise = share.randn(repeats, share.total, tokens, channels, axis=1)
    return Levels(t.flatten(), noise.flatten(0, 2))


def embed_times(head: DenoisingHead, t: Tensor) -> Tensor:
    """The head's embeddings `(T, W)` of `t` `(T,)`; more tokens than levels look theirs up in a table of all levels."""
    if len(t) <= TRAINING_STEPS:
        return head.time_embed(t)
    return F.embedding(t, head.time_embed(torch.arange(TRAINING_STEPS, device=t.device)))
