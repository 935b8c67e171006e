"""Our samplers beside MAR's published code, in turn, on the same weights, one thread of a CPU: `python -m benchmarks.official`.

Wants a clone of github.com/LTH14/mar and timm 0.9.12 (fused attention) on PYTHONPATH; neither is a dependency. Guidance 2, 100
diffusion steps; and one step of the same networks, as a student samples. Prints JSON: machine, versions and, for each sampler,
the seconds of every round, the least of them, and how many times as fast as the published code that is. Seconds are the thread's
own (CPU time), so that a busy machine does not decide.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import nn

from marval.masking.settings import OrderLaw
from marval.models.mar import MAR
from marval.models.official import to_official
from marval.noise.schedule import NoiseSchedule
from marval.pipeline.preset import load_preset
from marval.pipeline.record import machine, versions
from marval.sampling.draws import draw_images
from marval.sampling.optimised import OptimisedSampler
from marval.sampling.reference import sample_tokens
from marval.sampling.token_samplers import DiffusionChain, OneStep

GUIDANCE, DIFFUSION_STEPS = 2.0, 100
PUBLISHED = "published code"
ONE_STEP = ", one step"  # ends the names of what samples as a student does
STUDENT_T = 757  # noise level of the one step, which no time depends on
PATCH = 16  # pixels of a token's side, which no time depends on


def main() -> None:
    """One JSON object on standard output."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.official", description=__doc__)
    parser.add_argument("--preset", default="digits", help="whose teacher's size is taken")
    parser.add_argument("--ar-steps", type=int, default=8)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(1)
    works = samplers(random_model(options.preset), options.batch, options.ar_steps)
    with torch.no_grad(), on_the_cpu():
        seconds = in_turn(works, options.rounds)
    packages = versions() | {"timm": importlib.metadata.version("timm")}
    where = {"machine": machine(), "versions": packages}
    sys.stdout.write(json.dumps(vars(options) | where | {"samplers": table(seconds)}, indent=2) + "\n")


def random_model(preset: str) -> MAR:
    """The teacher's networks; no layer is left at its initial zeros."""
    torch.manual_seed(0)
    model = MAR(load_preset(preset).teacher.model).eval().requires_grad_(False)
    for parameter in model.parameters():
        parameter.add_(0.02 * torch.randn_like(parameter))
    return model


def samplers(model: MAR, batch: int, ar_steps: int) -> dict[str, Callable[[], object]]:
    """The published code and our two samplers; ours also with one step, as a student."""
    size = model.config
    draws = draw_images(0, range(batch), size.side, size.channels, DIFFUSION_STEPS, OrderLaw.RANDOM)
    labels = torch.arange(batch) % size.classes
    theirs = published(model).sample_tokens
    works = {PUBLISHED: partial(theirs, batch, num_iter=ar_steps, cfg=GUIDANCE, labels=labels)}
    chain = DiffusionChain(NoiseSchedule.respaced(DIFFUSION_STEPS))
    for suffix, sampler, guidance in (("", chain, GUIDANCE), (ONE_STEP, OneStep.at(STUDENT_T), 1.0)):
        optimised = OptimisedSampler(model, sampler, ar_steps, guidance)
        works["reference sampler" + suffix] = partial(
            sample_tokens, model, sampler, labels, draws, ar_steps, guidance
        )
        works["optimised sampler" + suffix] = partial(optimised, labels, draws)
    return works


def published(model: MAR) -> Any:
    """MAR's own class with the weights of `model`."""
    size = model.config
    theirs = importlib.import_module("models.mar").MAR(
        img_size=PATCH * size.side,
        vae_stride=PATCH,
        encoder_embed_dim=size.width,
        encoder_depth=size.encoder_blocks,
        encoder_num_heads=size.heads,
        decoder_embed_dim=size.width,
        decoder_depth=size.decoder_blocks,
        decoder_num_heads=size.heads,
        norm_layer=partial(nn.LayerNorm, eps=1e-6),
        vae_embed_dim=size.channels,
        class_num=size.classes,
        buffer_size=size.buffer_tokens,
        diffloss_d=size.head.blocks,
        diffloss_w=size.head.width,
        num_sampling_steps=str(DIFFUSION_STEPS),
    )
    theirs.load_state_dict(to_official(dict(model.state_dict())), strict=True)
    return theirs.eval()


def in_turn(works: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """CPU seconds of each in every round, the first and untimed one left out."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for number in range(rounds + 1):
        for name, work in works.items():
            start = time.process_time()
            work()
            if number:
                seconds[name].append(time.process_time() - start)
    return seconds


@contextmanager
def on_the_cpu() -> Iterator[None]:
    """The published sampler moves its tensors with `.cuda()`: here they stay."""
    original = torch.Tensor.cuda
    torch.Tensor.cuda = lambda tensor: tensor  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        torch.Tensor.cuda = original  # type: ignore[method-assign]


def table(seconds: dict[str, list[float]]) -> dict[str, Any]:
    """For each sampler."""
    least = {name: min(taken) for name, taken in seconds.items()}
    return {
        name: {
            "least_seconds": round(least[name], 4),
            "times_as_fast_as_published": round(least[PUBLISHED] / least[name], 3),
            "seconds": [round(s, 4) for s in taken],
        }
        for name, taken in seconds.items()
    }


if __name__ == "__main__":
    main()
