"""Which tokens of a known image are filled in."""

from __future__ import annotations

from enum import StrEnum

import torch
from torch import Tensor


class Mask(StrEnum):
    """Which tokens are filled in; of an image of side x side tokens."""

    HALF = "half"  # the lower half
    CENTRE = "centre"  # the middle square of half the side
    RANDOM = "random"  # half of them, anywhere

    def hidden(self, order_BN: Tensor, side: int) -> tuple[Tensor, int]:
        """(B, N) True where hidden, of images with random orders `(B, N)`; and how many tokens that is in each."""
        count, position = len(order_BN), torch.arange(side * side)
        row, column = position // side, position % side
        if self is Mask.RANDOM:
            hidden = order_BN >= side * side // 2
            return hidden, side * side - side * side // 2
        low, high = side // 4, side - side // 4
        inside = (low <= row) & (row < high) & (low <= column) & (column < high)
        hidden = inside if self is Mask.CENTRE else row >= side // 2
        return hidden.expand(count, -1), int(hidden.sum())


def hidden_first(order_BN: Tensor, mask: Mask, side: int) -> tuple[Tensor, int]:
    """The same orders with the hidden positions first, as the sampler wants them; and how many are hidden."""
    hidden, count = mask.hidden(order_BN, side)
    known = hidden.gather(1, order_BN).logical_not()
    return order_BN.gather(1, known.to(torch.uint8).argsort(dim=1, stable=True)), count
