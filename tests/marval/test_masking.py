"""Masks, orders and the unmasking schedule."""

import itertools
import math

import pytest
import torch
from scipy import stats

from marval.masking.law import MaskingLaw
from marval.masking.orders import first_masked, fixed_order, random_orders
from marval.masking.schedule import linear_guidance, unmasking_schedule
from marval.masking.settings import OrderLaw


@pytest.mark.parametrize(("std", "minimum"), [(0.25, 0.7), (0.5, 0.0)])
def test_masking_ratio_follows_the_truncated_normal(std, minimum):
    law = MaskingLaw(std=std, minimum=minimum)
    generator = torch.Generator().manual_seed(0)
    counts = torch.tensor([law.draw_count(256, generator) for _ in range(4000)])
    assert counts.min() >= math.ceil(256 * minimum)
    assert counts.max() <= 256
    truncated = stats.truncnorm((minimum - 1) / std, 0, loc=1, scale=std)
    # ceil shifts a uniform remainder up by half a token on average
    expected = 256 * truncated.mean() + 0.5
    assert abs(counts.double().mean() - expected) < 4 * 256 * truncated.std() / math.sqrt(4000)


@pytest.mark.parametrize(("tokens", "steps"), [(256, 64), (256, 256), (16, 8), (16, 16), (16, 1), (9, 4)])
def test_schedule_reveals_at_least_one_token_each_step(tokens, steps):
    counts = [tokens, *unmasking_schedule(tokens, steps)]
    assert len(counts) == steps + 1
    assert counts[-1] == 0
    assert all(before > after for before, after in itertools.pairwise(counts))


def test_schedule_follows_the_cosine():
    assert unmasking_schedule(256, 4) == [math.floor(256 * math.cos(math.pi / 8 * k)) for k in (1, 2, 3)] + [
        0
    ]
    # the published figures for 64 steps and 256 tokens: between 1 and 7 tokens a step
    counts = [256, *unmasking_schedule(256, 64)]
    assert {before - after for before, after in itertools.pairwise(counts)} == set(range(1, 8))


def test_schedule_refuses_more_steps_than_tokens():
    with pytest.raises(ValueError, match="1 to 16"):
        unmasking_schedule(16, 17)


def test_random_orders_are_uniform_permutations():
    orders = random_orders(torch.rand(6000, 4))
    assert (orders.sort(dim=1).values == torch.arange(4)).all()
    first = orders[:, 0].bincount(minlength=4)
    assert stats.chisquare(first.numpy()).pvalue > 1e-4


def test_first_masked_counts():
    mask = first_masked(torch.tensor([[2, 0, 1], [1, 2, 0]]), 2)
    assert mask.tolist() == [[True, False, True], [False, True, True]]


def test_fixed_orders_reveal_raster_first_row_and_centre_first():
    assert fixed_order(OrderLaw.RASTER, 3)[-3:].tolist() == [2, 1, 0]
    assert fixed_order(OrderLaw.CENTRE_OUT, 3)[-1] == 4
    assert set(fixed_order(OrderLaw.CENTRE_OUT, 3)[:4].tolist()) == {0, 2, 6, 8}


def test_guidance_rises_linearly_to_just_below_the_scale():
    assert linear_guidance(3.0, 16, 16) == 1.0
    assert linear_guidance(3.0, 16, 8) == 2.0
    assert linear_guidance(3.0, 16, 0) == 1 + 2 * 15 / 16
