"""All randomness of an image, from (seed, image index) alone: results do not depend on batches, devices or process counts.

For each image a counter-based generator (Philox, key = (seed, index)) gives, in this order: the unmasking order, the start
noise of every token, and the noise of every diffusion step. A teacher and a student with the same seed therefore share orders
and start noise, and a token's noise does not depend on the AR step that reveals it. Where several images are drawn for one that
is kept, the others have keys of their own, which no index reaches: (seed, index + candidate x 2^32).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from marval.masking.orders import fixed_order
from marval.masking.settings import OrderLaw

CANDIDATE_BITS = 32


@dataclass(frozen=True)
class Draws:
    """Randomness of B images of N tokens with C channels."""

    order: Tensor  # (B, N) int64
    start: Tensor  # (B, N, C) standard normal
    steps: Tensor  # (B, S, N, C) standard normal, S diffusion steps (0 for a one-step sampler)

    def to(self, device: torch.device | str) -> Draws:
        return Draws(self.order.to(device), self.start.to(device), self.steps.to(device))


def draw_images(
    seed: int,
    indices: range,
    side: int,
    channels: int,
    diffusion_steps: int,
    law: OrderLaw,
    candidate: int = 0,
) -> Draws:
    """Draws for the images `indices`; `diffusion_steps` = 1 is a single head evaluation, which needs no step noise."""
    tokens = side * side
    chain = diffusion_steps if diffusion_steps > 1 else 0
    orders = np.empty((len(indices), tokens), dtype=np.int64)
    start = np.empty((len(indices), tokens, channels), dtype=np.float32)
    steps = np.empty((len(indices), chain, tokens, channels), dtype=np.float32)
    for row, index in enumerate(indices):
        generator = np.random.Generator(np.random.Philox(key=[seed, index + (candidate << CANDIDATE_BITS)]))
        orders[row] = generator.permutation(tokens)
        generator.standard_normal(out=start[row], dtype=np.float32)
        generator.standard_normal(out=steps[row], dtype=np.float32)
    order = torch.from_numpy(orders)
    if law is not OrderLaw.RANDOM:
        order = fixed_order(law, side).expand(len(indices), -1)
    return Draws(order, torch.from_numpy(start), torch.from_numpy(steps))
