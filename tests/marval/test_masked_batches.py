"""Masked images, and the conditions of their masked positions."""

import pytest
import torch

from marval.batches import Share
from marval.masking.law import MaskingLaw
from marval.masking.orders import first_masked, random_orders
from marval.methods.masked import MaskedBatch, draw_masked
from marval.models.tokenizer import tokens_from_moments


def test_masked_batches_hide_what_they_say(data):
    batch = draw_masked(data, Share.whole(8), MaskingLaw())
    assert (batch.masked.sum(dim=1) == batch.masked_count).all()
    rows = batch.masked_rows(batch.tokens).view(8, batch.masked_count, 2)
    for image in range(8):
        assert torch.equal(rows[image], batch.tokens[image, batch.masked[image]])


@pytest.mark.parametrize("count", [1, 4, 9])
def test_conditions_of_masked_positions_are_those_of_all_positions(data, tiny_mar, count):
    """Values and gradients; 9: nothing is known, as in the first AR step."""
    torch.manual_seed(3)
    tokens = tokens_from_moments(data.moments(torch.arange(8)), torch.randn(8, 2, 3, 3))
    batch = MaskedBatch(tokens, data.labels[:8], first_masked(random_orders(torch.rand(8, 9)), count), count)
    embedding = tiny_mar.class_condition(batch.labels)
    expected = batch.masked_rows(tiny_mar(batch.tokens, batch.masked, embedding, count))
    found = batch.conditions(tiny_mar, embedding)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    named = [(name, p) for name, p in tiny_mar.named_parameters() if not name.startswith("head")]
    weights = torch.randn_like(expected)
    gradients = (
        torch.autograd.grad((z * weights).sum(), [p for _, p in named], retain_graph=True, allow_unused=True)
        for z in (found, expected)
    )
    for (name, parameter), one, other in zip(named, *gradients, strict=True):
        ours, theirs = (torch.zeros_like(parameter) if g is None else g for g in (one, other))
        torch.testing.assert_close(
            ours, theirs, rtol=1e-4, atol=1e-4, msg=lambda words, n=name: f"{n}: {words}"
        )


def test_the_encoder_is_frozen_whole_and_nothing_else(data, tiny_mar):
    """What is left to train is what a gradient through the decoder alone reaches."""
    batch = draw_masked(data, Share.whole(8), MaskingLaw())
    encoded = batch.encode(tiny_mar, tiny_mar.class_condition(batch.labels)).detach()
    batch.decode(tiny_mar, encoded).sum().backward()
    reached = {name for name, p in tiny_mar.named_parameters() if p.grad is not None}
    tiny_mar.freeze_encoder()
    trained = {name for name, p in tiny_mar.named_parameters() if p.requires_grad}
    assert {name for name in trained if not name.startswith("head.")} == reached
