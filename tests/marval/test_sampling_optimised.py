"""The optimised sampler against the reference: the same algebra (float64, 1e-9), the same images (float32, 1e-5 of the norm)."""

import copy

import pytest
import torch
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from marval.masking.schedule import unmasking_schedule
from marval.masking.settings import OrderLaw
from marval.models.head import DenoisingHead
from marval.models.settings import HeadConfig
from marval.noise.schedule import NoiseSchedule
from marval.sampling import chain as chain_module
from marval.sampling.draws import Draws, draw_images
from marval.sampling.graphs import Direct
from marval.sampling.modulated_head import ModulatedHead
from marval.sampling.optimised import OptimisedSampler
from marval.sampling.reference import sample_tokens
from marval.sampling.tables import denoising_steps
from marval.sampling.token_samplers import DiffusionChain, OneStep

LABELS = torch.tensor([2, 0, 2, 3, 1])
STUDENT = OneStep.at(900)
TEACHER = DiffusionChain(NoiseSchedule.respaced(5, 950))


def draws_for(model, count, law=OrderLaw.RANDOM, first=0, steps=12):
    return draw_images(7, range(first, first + count), model.config.side, model.config.channels, steps, law)


def relative(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    return ((ours - theirs).norm() / theirs.norm()).item()


@pytest.mark.parametrize(
    ("batch", "ar_steps", "diffusion_steps", "guidance", "law", "temperature"),
    [
        (1, 1, 1, 1.0, OrderLaw.RANDOM, 1.0),
        (3, 4, 1, 1.0, OrderLaw.RASTER, 1.0),
        (5, 9, 1, 3.0, OrderLaw.RANDOM, 1.0),
        (1, 9, 12, 2.0, OrderLaw.RANDOM, 1.0),
        (4, 3, 7, 1.0, OrderLaw.CENTRE_OUT, 0.8),
        (5, 5, 2, 2.5, OrderLaw.RANDOM, 1.3),
        (2, 2, 12, 0.0, OrderLaw.RANDOM, 1.0),
    ],
)
def test_equals_the_reference(tiny_mar, batch, ar_steps, diffusion_steps, guidance, law, temperature):
    sampler = STUDENT
    if diffusion_steps > 1:
        sampler = DiffusionChain(NoiseSchedule.respaced(diffusion_steps, 950), temperature)
    draws, labels = draws_for(tiny_mar, batch, law), LABELS[:batch]
    for dtype, tolerance in ((torch.float64, 1e-9), (torch.float32, 1e-5)):
        model = copy.deepcopy(tiny_mar).to(dtype)
        cast = Draws(draws.order, draws.start.to(dtype), draws.steps[:, :diffusion_steps].to(dtype))
        with torch.no_grad():
            expected = sample_tokens(model, sampler, labels, cast, ar_steps, guidance)
        ours = OptimisedSampler(model, sampler, ar_steps, guidance, dtype)(labels, cast)
        assert ours.dtype == dtype
        assert relative(ours, expected) < tolerance, dtype


@pytest.mark.parametrize("sampler", [STUDENT, TEACHER])
def test_images_do_not_depend_on_the_batch_or_on_what_was_sampled_before(tiny_mar, sampler):
    optimised = OptimisedSampler(tiny_mar, sampler, 4, 2.0)
    whole = optimised(LABELS, draws_for(tiny_mar, 5))
    alone = optimised(LABELS[3:4], draws_for(tiny_mar, 1, first=3))
    assert torch.allclose(whole[3:4], alone, atol=1e-5)
    assert torch.equal(optimised(LABELS, draws_for(tiny_mar, 5)), whole)
    fresh = OptimisedSampler(tiny_mar, sampler, 4, 2.0)
    assert torch.equal(fresh(LABELS[3:4], draws_for(tiny_mar, 1, first=3)), alone)


def test_gives_ordinary_tensors(tiny_mar):
    """They may enter a graph, which the tensors of inference mode refuse."""
    tokens = OptimisedSampler(tiny_mar, STUDENT, 3, 1.0)(LABELS, draws_for(tiny_mar, 5))
    weight = torch.ones((), requires_grad=True)
    (tokens * weight).sum().backward()
    assert torch.isclose(weight.grad, tokens.sum())


def test_large_weights_are_not_read_for_a_few_rows(monkeypatch):
    """Where no cache holds the modulations' weights, a product gives as much as an eighth of them."""
    monkeypatch.setitem(chain_module.HELD_BYTES, "cpu", 1)
    head = DenoisingHead(HeadConfig(width=160, blocks=1), 2, 24).eval()
    steps = denoising_steps(DiffusionChain(NoiseSchedule.respaced(30, 950)))
    chain = chain_module.TokenChain(head, steps, branches=2, dtype=torch.float32)
    asked = []
    modulations = ModulatedHead.modulations
    monkeypatch.setattr(
        ModulatedHead, "modulations", lambda *given: asked.append(len(given[1])) or modulations(*given)
    )
    with torch.inference_mode():
        chain(torch.zeros(2, 160), torch.tensor(2.0), torch.zeros(1, 2), torch.zeros(30, 1, 2))
    assert asked == [10, 10, 10]  # an eighth of 160 rows is 20, and each step has 2


@pytest.mark.slow
@pytest.mark.parametrize(("sampler", "guidance"), [(STUDENT, 1.0), (TEACHER, 2.0)])
def test_nothing_is_asked_of_the_host(tiny_mar, sampler, guidance):
    """Under fake tensors, which have shapes and no values, any shape or branch that depends on values raises."""
    optimised = OptimisedSampler(tiny_mar, sampler, 4, guidance)
    draws = draws_for(tiny_mar, 5)
    with torch.inference_mode(), FakeTensorMode(allow_non_fake_inputs=True) as mode:
        fake = Draws(*(mode.from_tensor(t) for t in (draws.order, draws.start, draws.steps)))
        labels = mode.from_tensor(LABELS)
        first = torch.empty(optimised.branches, 5, 9, 24)
        assert optimised.generate(Direct(), first, labels, fake).shape == (5, 9, 2)
        with pytest.raises(DataDependentOutputException):
            optimised.first_conditions(labels)


def test_shapes_repeat_with_the_key(tiny_mar):
    """What graphs rely on: for one batch size, equal keys mean equal shapes."""
    seen: dict = {}

    class Watching(Direct):
        def __call__(self, key, function, *inputs):
            shapes = [tuple(t.shape) for t in inputs]
            assert seen.setdefault(key, shapes) == shapes
            return function(*inputs)

    optimised = OptimisedSampler(tiny_mar, TEACHER, 7, 2.0)
    with torch.inference_mode():
        first = optimised.first_conditions(LABELS)
        for draws in (draws_for(tiny_mar, 5), draws_for(tiny_mar, 5, first=5)):
            optimised.generate(Watching(), first, LABELS, draws)
    counts = unmasking_schedule(9, 7)
    revealed = {b - a for b, a in zip([9, *counts], counts, strict=False)}
    assert {key for key in seen if key[0] == "head"} == {("head", count, 0) for count in revealed}
    assert sum(key[0] == "transformer" for key in seen) == 6  # at every AR step but the first


class Replayed:
    """Does on a CPU what graphs do: what was recorded at a key's first call is run again, on that call's own tensors."""

    def __init__(self):
        self.recorded, self.kept = {}, []

    def keep(self, tensors):
        if not self.kept:
            self.kept = [tensor.clone() for tensor in tensors]
        for kept, tensor in zip(self.kept, tensors, strict=True):
            kept.copy_(tensor)
        return self.kept

    def __call__(self, key, function, *inputs):
        if key not in self.recorded:
            self.recorded[key] = function, [tensor.clone() for tensor in inputs]
            function(*self.recorded[key][1])  # the unrecorded first run
        recorded, held = self.recorded[key]
        for tensor, value in zip(held, inputs, strict=True):
            tensor.copy_(value)
        return recorded(*held)


@pytest.mark.parametrize(
    ("sampler", "guidance", "graphs"), [(STUDENT, 1.0, 4), (STUDENT, 2.0, 4), (TEACHER, 2.0, 3 + 3)]
)
def test_recorded_functions_see_the_images_at_hand(tiny_mar, sampler, guidance, graphs):
    """A function that kept hold of a tensor of the first batch would draw from it for ever. One graph for each AR step of the
    student; of the teacher one for each AR step but the first, and one of the head for each number of tokens."""
    optimised, run = OptimisedSampler(tiny_mar, sampler, 4, guidance), Replayed()
    with torch.inference_mode():
        for first in (0, 5, 10):
            draws, labels = draws_for(tiny_mar, 5, first=first), LABELS.roll(first // 5)
            replayed = optimised.generate(run, optimised.first_conditions(labels), labels, draws)
            assert torch.equal(replayed, optimised(labels, draws))
    assert len(run.recorded) == graphs


@pytest.mark.parametrize("last", [950, 999])
def test_steps_are_the_ancestral_sampler(last):
    """x and eps enter linearly, the noise with exp(v): held against the written-out step in float64."""
    schedule = NoiseSchedule.respaced(6, last)
    chain = DiffusionChain(schedule, temperature=0.7)
    x, eps, v, noise = torch.randn(4, 50, dtype=torch.float64)
    for i, step in zip(reversed(range(6)), denoising_steps(chain), strict=True):
        alpha, sigma = schedule.alpha[i].double(), schedule.sigma[i].double()
        x0 = (x - sigma * eps) / alpha
        mean = schedule.posterior_x0[i].double() * x0 + schedule.posterior_xt[i].double() * x
        low, high = schedule.posterior_log_variance[i].double(), schedule.log_beta[i].double()
        deviation = 0.7 * torch.exp(0.5 * (low + (high - low) * (v + 1) / 2)) if i else torch.zeros(())
        ours = step.x * x + step.prediction * eps + torch.exp(step.rate * v) * step.spread * noise
        assert step.t == schedule.timesteps[i]
        assert torch.allclose(ours, mean + deviation * noise, rtol=1e-9, atol=1e-9)


def test_recorded_images_of_the_public_implementation(official_mar, recorded, recorded_draws):
    chain = DiffusionChain(NoiseSchedule.respaced(25))
    optimised = OptimisedSampler(official_mar, chain, ar_steps=6, guidance=2.0)
    tokens = optimised(recorded["labels"], recorded_draws)
    assert relative(tokens.transpose(1, 2).reshape(3, 4, 6, 6), recorded["image/latents"]) < 1e-4


def test_bfloat16_stays_near(official_mar, recorded, recorded_draws, monkeypatch):
    """The chain starts at t = 999, whose first step multiplies errors; computing it in float32 is what keeps bfloat16 near."""
    chain = DiffusionChain(NoiseSchedule.respaced(25))

    def error() -> float:
        optimised = OptimisedSampler(official_mar, chain, 6, 2.0, torch.bfloat16)
        tokens = optimised(recorded["labels"], recorded_draws)
        assert tokens.dtype == torch.float32
        return relative(tokens.transpose(1, 2).reshape(3, 4, 6, 6), recorded["image/latents"])

    careful = error()
    monkeypatch.setattr(chain_module, "AMPLIFICATION", float("inf"))
    careless = error()
    assert careful < 0.05
    assert careless > 3 * careful


def test_other_samplers_are_refused(tiny_mar):
    with pytest.raises(TypeError, match="no tables for function"):
        OptimisedSampler(tiny_mar, lambda *_: None, 3, 1.0)
    with pytest.raises(ValueError, match="AR steps must be 1 to 9"):
        OptimisedSampler(tiny_mar, STUDENT, 10, 1.0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize(("sampler", "guidance"), [(STUDENT, 1.0), (TEACHER, 2.0)])
def test_graphs_replay_what_was_computed(tiny_mar, sampler, guidance):
    """The first call records, the second replays; other draws must not see the first ones' values."""
    model = tiny_mar.cuda()
    optimised = OptimisedSampler(model, sampler, 4, guidance)
    for first in (0, 5, 10):
        draws = draws_for(tiny_mar, 5, first=first).to("cuda")
        with torch.no_grad():
            expected = sample_tokens(model, sampler, LABELS.cuda(), draws, 4, guidance)
        assert relative(optimised(LABELS.cuda(), draws), expected) < 1e-4
