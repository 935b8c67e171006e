"""What is compared: pairs of functions with equal results, on the networks of the preset `digits` with random weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from marval.masking.orders import first_masked
from marval.masking.settings import OrderLaw
from marval.models.mar import MAR
from marval.models.transformer import gather_positions, sorted_positions
from marval.noise.schedule import NoiseSchedule
from marval.pipeline.preset import load_preset
from marval.sampling.backbone import Backbone
from marval.sampling.chain import TokenChain
from marval.sampling.draws import draw_images
from marval.sampling.optimised import OptimisedSampler
from marval.sampling.reference import sample_tokens
from marval.sampling.tables import denoising_steps
from marval.sampling.token_samplers import DiffusionChain, OneStep

LAST_T, ONE_STEP_T = 950, 900
GUIDANCE = 2.0
AR_STEPS = 8
KNOWN, PREDICTED = 6, 3  # of 16 tokens, at the AR step whose parts are compared
STEPS = 20  # of the chain whose step is timed


@dataclass(frozen=True)
class Pair:
    """Two functions of equal results."""

    name: str
    reference: Callable[[], Tensor]
    optimised: Callable[[], Tensor]


def random_model() -> MAR:
    """The model of `digits`; no layer is left at its initial zeros."""
    torch.manual_seed(0)
    model = MAR(load_preset("digits").teacher.model).eval().requires_grad_(False)
    for parameter in model.parameters():
        parameter.add_(0.05 * torch.randn_like(parameter))
    return model


def pairs(model: MAR, batches: tuple[int, ...] = (1, 64)) -> list[Pair]:
    """Whole images of teacher and student, and the parts of an AR step."""
    return [
        make(model, batch)
        for make in (_teacher, _student, _encoder, _decoder, _chain_step)
        for batch in batches
    ]


def _teacher(model: MAR, batch: int) -> Pair:
    return _image(f"teacher, 100 steps, batch {batch}", model, batch, 100, GUIDANCE)


def _student(model: MAR, batch: int) -> Pair:
    return _image(f"student, batch {batch}", model, batch, 1, 1.0)


def _image(name: str, model: MAR, batch: int, steps: int, guidance: float) -> Pair:
    size = model.config
    draws = draw_images(0, range(batch), size.side, size.channels, steps, OrderLaw.RANDOM)
    labels = torch.arange(batch) % size.classes
    inner = OneStep.at(ONE_STEP_T) if steps == 1 else DiffusionChain(NoiseSchedule.respaced(steps, LAST_T))
    fast = OptimisedSampler(model, inner, AR_STEPS, guidance)
    return Pair(
        name,
        lambda: sample_tokens(model, inner, labels, draws, AR_STEPS, guidance),
        lambda: fast(labels, draws),
    )


def _encoder(model: MAR, batch: int) -> Pair:
    """The encoder's output for the buffer, which both have in common; its order of the known tokens differs."""
    scene = _Scene(model, batch)
    buffer = model.config.buffer_tokens
    return Pair(
        f"encoder, {KNOWN} known, batch {batch}",
        lambda: model.encode(scene.tokens, scene.known, scene.condition)[:, :buffer],
        lambda: scene.backbone.encode(scene.canvas, scene.before)[:, -buffer:],
    )


def _decoder(model: MAR, batch: int) -> Pair:
    """To the head's projected conditions of the predicted positions."""
    scene = _Scene(model, batch)
    encoded = model.encode(scene.tokens, scene.known, scene.condition)
    sorted_encoded = scene.backbone.encode(scene.canvas, scene.before)
    after = scene.before - PREDICTED
    positions = scene.order[:, after : scene.before]

    def reference() -> Tensor:
        return model.head.cond_embed(gather_positions(model.decode(encoded, scene.known), positions))

    return Pair(
        f"decoder, {PREDICTED} predicted, batch {batch}",
        reference,
        lambda: scene.backbone.decode(scene.canvas, after, scene.before, sorted_encoded)[:, :, 0],
    )


def _chain_step(model: MAR, batch: int) -> Pair:
    """A chain of a few steps on the tokens of one AR step, two branches."""
    count, channels = batch * PREDICTED, model.config.channels
    z, z_null = torch.randn(2, count, model.config.width).unbind(0)
    start, noise = torch.randn(count, channels), torch.randn(STEPS, count, channels)
    chain = DiffusionChain(NoiseSchedule.respaced(STEPS, LAST_T))
    fast = TokenChain(model.head, denoising_steps(chain), 2, torch.float32)
    rows = model.head.cond_embed(torch.stack([z, z_null], dim=1).flatten(0, 1))
    return Pair(
        f"{STEPS} diffusion steps, {count} tokens",
        lambda: chain(model.head, z, z_null, GUIDANCE, start, noise),
        lambda: fast(rows, torch.tensor(GUIDANCE), start, noise),
    )


class _Scene:
    """Images with `KNOWN` random tokens, as each sampler sees them; one branch."""

    def __init__(self, model: MAR, batch: int) -> None:
        size = model.config
        draws = draw_images(0, range(batch), size.side, size.channels, 1, OrderLaw.RANDOM)
        self.order, self.tokens, self.before = draws.order, draws.start, size.tokens - KNOWN
        self.known = sorted_positions(first_masked(self.order, self.before).logical_not(), KNOWN)
        labels = torch.arange(batch) % size.classes
        self.condition = model.class_condition(labels)
        self.backbone = Backbone(model, torch.float32)
        self.canvas = self.backbone.canvas(self.condition, self.order)
        revealed = gather_positions(self.tokens, self.order[:, self.before :])
        self.backbone.reveal(self.canvas, revealed, self.before, size.tokens)
