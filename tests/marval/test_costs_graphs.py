"""Memory that the optimised sampler's graphs keep: counted, against what a CPU really holds, and by hand."""

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from marval.costs.graphs import graphs_bytes, peak_bytes, sampled_bytes
from marval.costs.image import Sampling
from marval.models.mar import MAR
from marval.models.settings import MARConfig
from marval.noise.schedule import NoiseSchedule
from marval.sampling.graphs import Direct
from marval.sampling.optimised import OptimisedSampler
from marval.sampling.token_samplers import DiffusionChain, OneStep

MAR_B = MARConfig(
    side=16, channels=16, classes=1000, width=768, encoder_blocks=12, decoder_blocks=12, heads=12,
    head={"width": 1024, "blocks": 6},
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("inner", "guidance"),
    [(OneStep.at(900), 1.0), (DiffusionChain(NoiseSchedule.respaced(4, 950)), 2.0)],
)
def test_counted_memory_is_what_torch_allocates(tiny_mar, inner, guidance):
    fast, batch = OptimisedSampler(tiny_mar, inner, 5, guidance), 64
    counted = peak_bytes(fast, batch)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        peak_bytes(fast, batch)
    living = peak = 0
    for event in profiled.profiler.kineto_results.events():
        if event.name() == "[memory]":
            living += event.nbytes()
            peak = max(peak, living)
    assert counted == pytest.approx(peak, rel=0.1)


def test_each_ar_step_keeps_its_result_and_no_more():
    """The teacher's transformer leaves a row of conditions for each token and branch; the encoder's output, hundreds of times as
    large, is let go."""
    few, many = (graphs_bytes(MAR_B, Sampling.even(k, 4, 2.9), 8, torch.bfloat16) for k in (128, 256))
    rows = 256 * 2 * 1024 * 2 * 8  # tokens, branches, width, bytes, images
    noise = 2 * 4 * 16 * 4 * 8  # of a chain's tokens, of which there are one or two
    assert abs(many - few) < rows + noise
    encoded = 2 * 8 * (128 + 64) * 768 * 2  # on average
    assert many < 256 * encoded / 4


@pytest.mark.parametrize("inner", [OneStep.at(900), DiffusionChain(NoiseSchedule.respaced(3, 950))])
def test_few_ar_steps_tell_the_memory_of_all(inner):
    model = MARConfig(
        side=8, channels=4, classes=4, width=16, encoder_blocks=1, decoder_blocks=1, heads=2, buffer_tokens=2,
        head={"width": 256, "blocks": 1},
    )  # fmt: skip
    with torch.device("meta"):
        fast = OptimisedSampler(MAR(model).eval(), inner, 32, 2.0)
    assert sampled_bytes(fast, 8) == pytest.approx(peak_bytes(fast, 8), rel=0.02)
    assert len(fast.plan) == 32


def test_graphs_keep_what_direct_calls_let_go(tiny_mar):
    """At least the copies of the start noise and of the canvas, and the conditions of all AR steps but the first."""
    fast, batch = OptimisedSampler(tiny_mar, DiffusionChain(NoiseSchedule.respaced(4, 950)), 9, 2.0), 64
    tokens, buffer, width, head, branches = 9, 2, 16, 24, 2
    start = tokens * 2
    canvas = branches * (3 * tokens + 2 * buffer) * width + tokens * (width + head)
    conditions = (tokens - 1) * branches * head
    numbers = 2 * start + canvas + conditions
    assert peak_bytes(fast, batch) - peak_bytes(fast, batch, Direct()) > 0.8 * 4 * batch * numbers


def test_longer_chains_hold_more_noise():
    """Drawn, sorted, and given to the head of each number of tokens."""
    short, longer = (graphs_bytes(MAR_B, Sampling.even(64, n, 2.9), 8, torch.bfloat16) for n in (10, 20))
    of_image = 256 * 16 * 4 * 8
    assert longer - short >= 10 * 2 * of_image
