"""The sampler: noise from (seed, image index) alone, any order, in-painting, gradients."""

import numpy as np
import pytest
import torch

from marval.masking.settings import OrderLaw
from marval.noise.schedule import NoiseSchedule
from marval.sampling.draws import Draws, draw_images
from marval.sampling.reference import sample_tokens
from marval.sampling.token_samplers import DiffusionChain, OneStep


def draws_for(model, count, steps=1, seed=3, law=OrderLaw.RANDOM, first=0):
    return draw_images(
        seed, range(first, first + count), model.config.side, model.config.channels, steps, law
    )


def test_draws_depend_on_seed_and_index_alone():
    whole = draw_images(5, range(6), 3, 2, 4, OrderLaw.RANDOM)
    part = draw_images(5, range(4, 6), 3, 2, 4, OrderLaw.RANDOM)
    for name in ("order", "start", "steps"):
        assert torch.equal(getattr(whole, name)[4:], getattr(part, name))
    other = draw_images(6, range(4, 6), 3, 2, 4, OrderLaw.RANDOM)
    assert not torch.equal(other.start, part.start)
    assert not torch.equal(whole.start[0], whole.start[1])


def test_teacher_and_student_share_order_and_start_noise():
    chain, single = (draw_images(5, range(3), 3, 2, steps, OrderLaw.RANDOM) for steps in (10, 1))
    assert torch.equal(chain.order, single.order)
    assert torch.equal(chain.start, single.start)
    assert single.steps.shape[1] == 0


def test_noise_is_what_it_always_was():
    """Numbers of (seed 5, index 3), so that no change of the code draws other images under the same names."""
    draws = draw_images(5, range(3, 4), 2, 2, 2, OrderLaw.RANDOM)
    assert draws.order.tolist() == [[0, 3, 1, 2]]
    assert torch.allclose(draws.start[0, 0], torch.tensor([-1.16164327, -0.88996059]))
    assert torch.allclose(draws.steps[0, 0, 0], torch.tensor([0.74003941, -0.84260887]))


def test_candidates_for_an_image_have_noise_of_their_own():
    """The first is the image itself; no other meets the noise of any index."""
    plain = draw_images(5, range(3), 3, 2, 1, OrderLaw.RANDOM)
    first, second, third = (draw_images(5, range(3), 3, 2, 1, OrderLaw.RANDOM, c) for c in range(3))
    assert torch.equal(first.start, plain.start)
    assert torch.equal(first.order, plain.order)
    assert torch.equal(second.start[1:], draw_images(5, range(1, 3), 3, 2, 1, OrderLaw.RANDOM, 1).start)
    starts = [*draw_images(5, range(9), 3, 2, 1, OrderLaw.RANDOM).start, *second.start, *third.start]
    assert len({tuple(start.flatten().tolist()) for start in starts}) == 15


def test_draws_are_standard_normal():
    draws = draw_images(0, range(200), 4, 4, 5, OrderLaw.RANDOM)
    for noise in (draws.start, draws.steps):
        assert abs(noise.mean()) < 4 / np.sqrt(noise.numel())
        assert abs(noise.var() - 1) < 4 * np.sqrt(2 / noise.numel())


@pytest.mark.parametrize("sampler", [OneStep.at(900), DiffusionChain(NoiseSchedule.respaced(5, 950))])
def test_images_do_not_depend_on_the_batch(tiny_mar, sampler):
    labels = torch.tensor([0, 1, 2, 3])
    draws = draws_for(tiny_mar, 4, steps=5)
    whole = sample_tokens(tiny_mar, sampler, labels, draws, ar_steps=4, guidance=2.0)
    alone = sample_tokens(
        tiny_mar, sampler, labels[2:3], draws_for(tiny_mar, 1, 5, first=2), ar_steps=4, guidance=2.0
    )
    assert torch.allclose(whole[2:3], alone, atol=1e-5)


@pytest.mark.parametrize("law", list(OrderLaw))
def test_any_order_gives_whole_images(tiny_mar, law):
    draws = draws_for(tiny_mar, 2, law=law)
    seen: list[torch.Tensor] = []
    labels = torch.tensor([0, 1])
    tokens = sample_tokens(tiny_mar, OneStep.at(900), labels, draws, ar_steps=9, guidance=1.0, on_step=seen)
    assert torch.isfinite(tokens).all()
    revealed = [(step != 0).any(dim=2) for step in seen]
    assert [int(mask[0].sum()) for mask in revealed] == list(range(1, 10))
    # one token a step, from the end of the order to its beginning
    newest = [int((now ^ before)[1].nonzero()) for now, before in zip(revealed[1:], revealed, strict=False)]
    assert newest == draws.order[1].flip(0)[1:].tolist()


def test_unguided_sampling_equals_guidance_of_one_in_the_chain(tiny_mar):
    """w = 1 skips the unconditional branch; the formula with both branches gives the same."""
    labels, draws = torch.tensor([0, 1]), draws_for(tiny_mar, 2)
    plain = sample_tokens(tiny_mar, OneStep.at(900), labels, draws, 3, guidance=1.0)
    nearly = sample_tokens(tiny_mar, OneStep.at(900), labels, draws, 3, guidance=1.0 + 1e-7)
    assert torch.allclose(plain, nearly, atol=1e-5)
    assert not torch.allclose(
        plain, sample_tokens(tiny_mar, OneStep.at(900), labels, draws, 3, guidance=3.0), atol=1e-3
    )


def test_inpainting_keeps_what_is_known(tiny_mar):
    known = torch.randn(2, 9, 2)
    draws = draws_for(tiny_mar, 2)
    tokens = sample_tokens(
        tiny_mar, OneStep.at(900), torch.tensor([0, 1]), draws, 3, guidance=1.0, known=known, known_count=4
    )
    kept = draws.order[:, 5:]
    for row in range(2):
        assert torch.equal(tokens[row, kept[row]], known[row, kept[row]])
        assert not torch.isclose(tokens[row, draws.order[row, :5]], known[row, draws.order[row, :5]]).any()


def test_gradients_flow_through_all_ar_steps(tiny_mar):
    """An error in the first token revealed must be felt through the tokens that were predicted from it."""
    draws = draws_for(tiny_mar, 1)
    start = draws.start.clone().requires_grad_(True)
    differentiable = Draws(draws.order, start, draws.steps)
    tokens = sample_tokens(
        tiny_mar, OneStep.at(900), torch.tensor([1]), differentiable, ar_steps=9, guidance=1.0
    )
    last = int(draws.order[0, 0])
    (gradient,) = torch.autograd.grad(tokens[0, last].sum(), start)
    assert (gradient[0].abs().sum(dim=1) > 0).all()
