"""Back-propagation through many AR steps in the memory of one: each step's activations are computed again when they are needed.

What is kept of a step are its inputs and outputs, the tokens and conditions; the networks run twice. Gradients are the same.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from marval.models.head import DenoisingHead
from marval.models.mar import MAR
from marval.sampling.token_samplers import TokenSampler


class _CheckpointedMAR(MAR):
    def forward(
        self, tokens_BNC: Tensor, masked_BN: Tensor, condition_BD: Tensor, masked_count: int
    ) -> Tensor:
        inputs = tokens_BNC, masked_BN, condition_BD, masked_count
        return checkpoint(super().forward, *inputs, use_reentrant=False)


def checkpointed(model: MAR) -> MAR:
    """The same network, parameters shared, whose pass from tokens to conditions is recomputed."""
    twin = copy.copy(model)
    twin.__class__ = _CheckpointedMAR
    return twin


def image_by_image(decode: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """A decoder of tokens `(B, N, C)` whose activations are recomputed, and are those of one image at a time.

    Those of KL-16 at 256 x 256 are larger than the network that made the tokens.
    """

    def decoded(tokens: Tensor) -> Tensor:
        return torch.cat([checkpoint(decode, image, use_reentrant=False) for image in tokens.split(1)])

    return decoded


@dataclass(frozen=True)
class CheckpointedSampler:
    """A token sampler whose evaluations of the head are recomputed."""

    plain: TokenSampler

    def __call__(
        self,
        head: DenoisingHead,
        z: Tensor,
        z_null: Tensor | None,
        scale: float,
        start: Tensor,
        steps: Tensor,
    ) -> Tensor:
        inputs = head, z, z_null, scale, start, steps
        return checkpoint(self.plain, *inputs, use_reentrant=False)
