"""Which tokens are filled in, and in which order."""

import pytest
import torch

from marval.masking.inpainting import Mask, hidden_first

SIDE = 4
ORDERS = torch.stack([torch.randperm(16, generator=torch.Generator().manual_seed(i)) for i in range(50)])


@pytest.mark.parametrize(
    ("mask", "positions"),
    [(Mask.HALF, {8, 9, 10, 11, 12, 13, 14, 15}), (Mask.CENTRE, {5, 6, 9, 10})],
)
def test_what_fixed_masks_hide(mask: Mask, positions: set[int]) -> None:
    hidden, count = mask.hidden(ORDERS, SIDE)
    assert count == len(positions)
    assert all(set(torch.nonzero(row).flatten().tolist()) == positions for row in hidden)


def test_the_random_mask_hides_half_of_each_image_anywhere() -> None:
    hidden, count = Mask.RANDOM.hidden(ORDERS, SIDE)
    assert count == 8
    assert (hidden.sum(1) == 8).all()
    assert (hidden.float().mean(0) > 0.2).all()
    assert (hidden.float().mean(0) < 0.8).all()


@pytest.mark.parametrize("mask", Mask)
def test_hidden_positions_come_first_in_their_own_random_order(mask: Mask) -> None:
    order, count = hidden_first(ORDERS, mask, SIDE)
    hidden, _ = mask.hidden(ORDERS, SIDE)
    assert (order.sort(1).values == torch.arange(16)).all()
    assert hidden.gather(1, order[:, :count]).all()
    assert not hidden.gather(1, order[:, count:]).any()
    for before, after in zip(ORDERS.tolist(), order.tolist(), strict=True):
        rank = {position: i for i, position in enumerate(before)}
        assert sorted(after[:count], key=rank.__getitem__) == after[:count]
        assert sorted(after[count:], key=rank.__getitem__) == after[count:]
