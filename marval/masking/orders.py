"""Orders in which the tokens of an image are revealed, and the masks that follow from them; see `marval.masking`."""

from __future__ import annotations

import torch
from torch import Tensor

from marval.masking.settings import OrderLaw


def random_orders(keys_BN: Tensor) -> Tensor:
    """Independent uniform permutations `(B, N)` from independent uniform keys."""
    return keys_BN.argsort(dim=1)


def fixed_order(law: OrderLaw, side: int) -> Tensor:
    """The order `(side^2,)` of a deterministic law: raster reveals row by row, centre-out by distance from the centre."""
    positions = torch.arange(side * side)
    if law is OrderLaw.RASTER:
        return positions.flip(0)
    if law is OrderLaw.CENTRE_OUT:
        row, column = positions // side, positions % side
        centre = (side - 1) / 2
        distance = (row - centre) ** 2 + (column - centre) ** 2
        return distance.argsort(descending=True, stable=True)
    raise ValueError(f"{law} is not a deterministic order")


def first_masked(orders: Tensor, count: int) -> Tensor:
    """Boolean mask `(B, N)`, true at the first `count` positions of each order."""
    mask = torch.zeros_like(orders, dtype=torch.bool)
    return mask.scatter(1, orders[:, :count], True)
