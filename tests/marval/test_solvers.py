"""The few-step inner samplers against diffusers' schedulers on the same noise, and against the closed flow of a Gaussian."""

import copy
import math
from importlib import import_module

import pytest
import torch
from pydantic import ValidationError

from marval.masking.settings import OrderLaw
from marval.sampling.chain_lengths import noisy_steps, steps_by_ar_step
from marval.sampling.draws import Draws, draw_images
from marval.sampling.images import token_samplers
from marval.sampling.optimised import OptimisedSampler
from marval.sampling.reference import sample_tokens
from marval.sampling.registry import SOLVERS
from marval.sampling.settings import SampleConfig, SampleVariant
from marval.sampling.solvers.levels import even_levels, levels_at
from marval.sampling.token_samplers import SolverChain

LABELS = torch.tensor([2, 0, 2, 3, 1])
CONFIG = SampleConfig(images=10, batch=5, chain_start=950)


def solved(name, levels, x, noise_of):
    """What a solver makes of x `(T, C)` where the noise prediction is a function of (x, t)."""
    solver = import_module(SOLVERS[name])
    state = torch.stack([x, *[torch.zeros_like(x)] * (solver.SLOTS - 1)])
    for i, level in enumerate(levels[:-1]):
        state = solver.step(levels, i, state, noise_of(state[0], level.t))
    return state[0]


def some_network(x, t):
    """A noise prediction that is neither linear nor constant in time."""
    return torch.tanh(x @ torch.tensor([[1.1, -0.4], [0.3, 0.8]], dtype=x.dtype) + math.sin(t / 90))


def scheduler(name, count):
    """diffusers' with the same times: its own grid ends at 999, ours for 999 is the same one."""
    import diffusers

    common = {
        "num_train_timesteps": 1000,
        "beta_schedule": "squaredcos_cap_v2",
        "timestep_spacing": "linspace",
    }
    made = {
        "ddim": lambda: diffusers.DPMSolverMultistepScheduler(**common, solver_order=1),
        "dpm-solver": lambda: diffusers.DPMSolverMultistepScheduler(**common, solver_order=2),
        "unipc": lambda: diffusers.UniPCMultistepScheduler(**common, solver_order=2, solver_type="bh2"),
    }[name]()
    made.set_timesteps(count)
    return made


@pytest.mark.parametrize("count", [1, 2, 3, 4, 8, 16])
@pytest.mark.parametrize("name", list(SOLVERS))
def test_solvers_are_those_of_diffusers(name, count):
    theirs = scheduler(name, count)
    levels = even_levels(count, 999)
    assert [level.t for level in levels[:-1]] == theirs.timesteps.tolist()
    # the same levels in float64: theirs are rounded, and t = 999 multiplies a rounding error by 20,000
    exact = torch.tensor([level.sigma / level.alpha for level in levels], dtype=torch.float64)
    assert torch.allclose(theirs.sigmas.double(), exact, rtol=1e-3)
    theirs.sigmas = exact
    start = torch.randn(7, 2, dtype=torch.float64)
    x = start
    for t in theirs.timesteps:
        x = theirs.step(some_network(x, t.item()), t, x).prev_sample.double()
    ours = solved(name, levels, start, some_network)
    # their step rounds its sample to float32
    assert (ours - x).norm() < 1e-4 * x.norm()


def test_ddim_is_that_of_diffusers():
    """Its own scheduler, on the grid that its step is made for."""
    import diffusers

    theirs = diffusers.DDIMScheduler(
        beta_schedule="squaredcos_cap_v2", clip_sample=False, timestep_spacing="trailing"
    )
    theirs.set_timesteps(5)
    start = torch.randn(7, 2, dtype=torch.float64)
    x = start
    for t in theirs.timesteps:
        x = theirs.step(some_network(x, t.item()), t, x).prev_sample
    ours = solved("ddim", levels_at(theirs.timesteps.tolist()), start, some_network)
    assert (ours - x).norm() < 1e-4 * x.norm()


def gaussian_flow_error(name, count):
    """Largest distance from the exact end of the probability-flow ODE, for data N(0.8, 0.5^2)."""
    mean, std = 0.8, 0.5
    levels = even_levels(count, 950)
    by_t = {level.t: level for level in levels}

    def noise_of(x, t):
        level = by_t[t]
        return level.sigma * (x - level.alpha * mean) / (level.alpha**2 * std**2 + level.sigma**2)

    x = torch.linspace(-3, 3, 61, dtype=torch.float64)[:, None]
    first = levels[0]
    spread = math.sqrt(first.alpha**2 * std**2 + first.sigma**2)
    exact = mean + std * (x - first.alpha * mean) / spread
    return (solved(name, levels, x, noise_of) - exact).abs().max().item()


def test_solvers_follow_the_flow_of_a_gaussian():
    """Errors fall with the steps, DDIM's in proportion, and the solvers of second order are far nearer."""
    errors = {name: [gaussian_flow_error(name, n) for n in (4, 16, 64)] for name in SOLVERS}
    for name, (few, more, many) in errors.items():
        assert few > more > many, name
        assert many < (more / 3 if name == "ddim" else 0.002), name
        assert name == "ddim" or more < errors["ddim"][1] / 10, name


def variant(**changes) -> SampleVariant:
    settings = {"role": "rival", "model": "teacher", "diffusion_steps": 6, "guidance": 2.0, "ar_steps": 4}
    return SampleVariant(**{**settings, **changes})


@pytest.mark.parametrize(
    "changes",
    [
        *({"sampler": name} for name in SOLVERS),
        {"sampler": "dpm-solver", "guidance": 1.0},
        {"sampler": "unipc", "diffusion_steps": 1, "ar_steps": 9},
        {"diffusion_steps": 7, "last_diffusion_steps": 2, "ar_steps": 9},
        {"sampler": "unipc", "diffusion_steps": 5, "last_diffusion_steps": 1, "annealing": "two-stage"},
    ],
    ids=str,
)
def test_the_optimised_sampler_equals_the_reference(tiny_mar, changes):
    wanted = variant(**changes)
    inner = token_samplers(CONFIG, wanted, 900)
    size = tiny_mar.config
    draws = draw_images(7, range(5), size.side, size.channels, noisy_steps(wanted), OrderLaw.RANDOM)
    for dtype, tolerance in ((torch.float64, 1e-9), (torch.float32, 1e-5)):
        model = copy.deepcopy(tiny_mar).to(dtype)
        cast = Draws(draws.order, draws.start.to(dtype), draws.steps.to(dtype))
        with torch.no_grad():
            expected = sample_tokens(model, inner, LABELS, cast, wanted.ar_steps, wanted.guidance)
        optimised = OptimisedSampler(model, inner, wanted.ar_steps, wanted.guidance, dtype)
        ours = optimised(LABELS, cast)
        assert (ours - expected).norm() < tolerance * expected.norm()
        assert torch.equal(optimised(LABELS, cast), ours)


def test_solvers_draw_no_noise_and_share_the_start_with_the_chain():
    assert noisy_steps(variant()) == 6
    assert noisy_steps(variant(sampler="ddim")) == 1
    chain, solver = (draw_images(3, range(2), 3, 2, n, OrderLaw.RANDOM) for n in (6, 1))
    assert torch.equal(chain.start, solver.start)
    assert solver.steps.shape[1] == 0


def test_annealing_falls_from_the_first_ar_step_to_the_last():
    """DiSA's own numbers for 8 AR steps, 50 to 5 diffusion steps."""
    annealed = {"diffusion_steps": 50, "last_diffusion_steps": 5}
    assert steps_by_ar_step(variant(**annealed), 8) == (50, 43, 37, 30, 24, 17, 11, 5)
    assert steps_by_ar_step(variant(**annealed, annealing="cosine"), 8) == (50, 47, 41, 32, 22, 13, 7, 5)
    assert steps_by_ar_step(variant(**annealed, annealing="two-stage"), 8) == (50, 50, 50, 50, 5, 5, 5, 5)
    assert steps_by_ar_step(variant(**annealed), 1) == (50,)
    assert steps_by_ar_step(variant(), 3) == (6, 6, 6)


def test_an_annealed_chain_runs_the_steps_of_each_ar_step(tiny_mar):
    """Tokens of the first AR step are the long chain's, whatever comes after; those of the last are not."""
    long, short = variant(diffusion_steps=7), variant(diffusion_steps=7, last_diffusion_steps=2)
    size = tiny_mar.config
    draws = draw_images(7, range(5), size.side, size.channels, 7, OrderLaw.RANDOM)
    first, last = draws.order[:, 6:], draws.order[:, :2]
    found = [
        OptimisedSampler(tiny_mar, token_samplers(CONFIG, v, 900), 4, 2.0)(LABELS, draws)
        for v in (long, short)
    ]
    plain, annealed = (tokens.take_along_dim(first[:, -1:, None], 1) for tokens in found)
    assert torch.allclose(plain, annealed, atol=1e-6)
    plain, annealed = (tokens.take_along_dim(last[..., None], 1) for tokens in found)
    assert not torch.allclose(plain, annealed, atol=1e-3)


def test_one_sampler_for_each_ar_step_is_one_for_all(tiny_mar):
    """To the bit: an annealed variant shares the code of a plain one, which draws what it always drew."""
    chain = token_samplers(CONFIG, variant(), 900)[0]
    draws = draw_images(7, range(5), 3, 2, 6, OrderLaw.RANDOM)
    plain = OptimisedSampler(tiny_mar, chain, 4, 2.0)(LABELS, draws)
    assert torch.equal(OptimisedSampler(tiny_mar, [chain] * 4, 4, 2.0)(LABELS, draws), plain)
    # step noise that a chain does not ask for changes nothing
    more = draw_images(7, range(5), 3, 2, 9, OrderLaw.RANDOM)
    assert torch.equal(OptimisedSampler(tiny_mar, chain, 4, 2.0)(LABELS, more), plain)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sampler": "dimm"}, "use one of ancestral, ddim, dpm-solver, unipc"),
        ({"last_diffusion_steps": 6}, "not fewer than diffusion_steps, 6"),
        ({"last_diffusion_steps": 1}, "an ancestral chain has at least 2 steps"),
    ],
)
def test_impossible_samplers_are_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        variant(**changes)


def test_a_solver_needs_room_for_its_steps():
    with pytest.raises(ValueError, match="1 to 20 steps, not 21"):
        even_levels(21, 20)
    assert [level.t for level in even_levels(4, 950)] == [950, 712, 475, 238, -1]


def test_an_unknown_number_of_samplers_is_refused(tiny_mar):
    chain = SolverChain(import_module(SOLVERS["ddim"]), even_levels(2, 950))
    with pytest.raises(ValueError, match="2 inner samplers for 3 AR steps"):
        OptimisedSampler(tiny_mar, [chain, chain], 3, 1.0)
