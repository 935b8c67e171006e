"""The work of one image, by component: as the reference sampler does it, and as the optimised one does."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch

from marval.costs.counting import Work, counted, meta, numbers, quadratic
from marval.masking.schedule import unmasking_schedule
from marval.models.mar import MAR
from marval.models.settings import MARConfig, TokenizerConfig
from marval.models.tokenizer import build_autoencoder
from marval.sampling.backbone import Backbone
from marval.sampling.chain_lengths import steps_by_ar_step
from marval.sampling.modulated_head import ModulatedHead
from marval.sampling.settings import InnerSampling

Works = dict[str, Work]  # by component: encoder, decoder, head, tokenizer


@dataclass(frozen=True)
class Sampling:
    """How an image is made."""

    steps: tuple[int, ...]  # diffusion steps of each AR step
    guidance: float

    @classmethod
    def even(cls, ar_steps: int, diffusion_steps: int, guidance: float) -> Sampling:
        """As many diffusion steps at each AR step."""
        return cls((diffusion_steps,) * ar_steps, guidance)

    @classmethod
    def of(cls, variant: InnerSampling, ar_steps: int) -> Sampling:
        return cls(steps_by_ar_step(variant, ar_steps), variant.guidance)

    @property
    def ar_steps(self) -> int:
        return len(self.steps)

    @property
    def branches(self) -> int:
        return 1 if self.guidance == 1 else 2

    def plan(self, tokens: int) -> list[tuple[int, int]]:
        """(masked before, masked after) of each AR step."""
        return list(pairwise([tokens, *unmasking_schedule(tokens, self.ar_steps)]))

    def evaluations(self, tokens: int) -> int:
        """Of the head for an image, one token and one branch at a time."""
        return sum(n * (b - a) for n, (b, a) in zip(self.steps, self.plan(tokens), strict=True))


@functools.cache
def reference(config: MARConfig, sampling: Sampling) -> Works:
    """Every AR step runs encoder and decoder on all positions, every diffusion step the whole head."""
    return _for_any_depth(_reference, config, sampling)


@functools.cache
def optimised(config: MARConfig, sampling: Sampling) -> Works:
    """What is left without waste: no first AR step, the last block where it is needed, modulations apart from the steps."""
    return _for_any_depth(_optimised, config, sampling)


def decoding(config: TokenizerConfig, side: int) -> Work:
    """The tokenizer's decoder on `side` squared tokens."""
    with torch.device("meta"):
        autoencoder = build_autoencoder(config)
    latents = meta(1, config.latent_channels, side * config.patch, side * config.patch)
    modules = [autoencoder.decoder, autoencoder.post_quant_conv]
    return Work(counted(autoencoder.decode, latents), numbers(*(m for m in modules if m is not None)))


def _for_any_depth(count: Callable[[MAR, Sampling], Works], config: MARConfig, sampling: Sampling) -> Works:
    """Counted for one and two blocks of each kind, and continued: all work is exactly linear in the number of blocks."""
    blocks = {
        "encoder": config.encoder_blocks,
        "decoder": config.decoder_blocks,
        "head": config.head.blocks,
    }
    one, two = (count(_model(config, depth), sampling) for depth in (1, 2))
    return {name: one[name] + (two[name] - one[name]) * (n - 1) for name, n in blocks.items()}


def _model(config: MARConfig, depth: int) -> MAR:
    head = config.head.model_copy(update={"blocks": depth})
    changes = {"encoder_blocks": depth, "decoder_blocks": depth, "head": head}
    with torch.device("meta"):
        return MAR(config.model_copy(update=changes)).eval()


def _reference(model: MAR, sampling: Sampling) -> Works:
    config, branches, tokens = model.config, sampling.branches, model.config.tokens

    def encode(known: int) -> int:
        index = meta(branches, known, dtype=torch.int64)
        images, condition = meta(branches, tokens, config.channels), meta(branches, config.width)
        return counted(model.encode, images, index, condition)

    def decode(known: int) -> int:
        index = meta(branches, known, dtype=torch.int64)
        return counted(model.decode, meta(branches, known + config.buffer_tokens, config.width), index)

    encoder, decoder = quadratic(encode), quadratic(decode)
    row = counted(model.head, meta(1, config.channels), meta(1), meta(1, config.width))
    plan = sampling.plan(tokens)
    return {
        "encoder": Work(sum(encoder(tokens - b) for b, _ in plan), len(plan) * _encoder_numbers(model)),
        "decoder": Work(sum(decoder(tokens - b) for b, _ in plan), len(plan) * _decoder_numbers(model)),
        "head": Work(
            row * branches * sampling.evaluations(tokens), sum(sampling.steps) * numbers(model.head)
        ),
    }


def _optimised(model: MAR, sampling: Sampling) -> Works:
    config, branches, tokens = model.config, sampling.branches, model.config.tokens
    backbone = Backbone(model, torch.float32)
    with torch.inference_mode():
        canvas = backbone.canvas(meta(branches, config.width), meta(1, tokens, dtype=torch.int64))

    def encode(known: int) -> int:
        return counted(lambda: backbone.encode(canvas, tokens - known))

    def decode(known: int, predicted: int) -> int:
        encoded, before = meta(branches, known + config.buffer_tokens, config.width), tokens - known
        return counted(lambda: backbone.decode(canvas, before - predicted, before, encoded))

    encoder, decoder = quadratic(encode), quadratic(lambda known: decode(known, 1))
    one_more = decode(1, 2) - decode(1, 1)
    one_known = counted(lambda: backbone.reveal(canvas, meta(1, 1, config.channels), 0, 1))
    plan = sampling.plan(tokens)[1:]
    known = tokens - plan[-1][0] if plan else 0  # the last tokens never enter the encoder
    encoding = sum(encoder(tokens - b) for b, _ in plan) + one_known * known
    conditions = sum(decoder(tokens - b) + one_more * (b - a - 1) for b, a in plan)
    return {
        "encoder": Work(encoding, len(plan) * _encoder_numbers(model)),
        "decoder": Work(conditions, len(plan) * (_decoder_numbers(model) + numbers(model.head.cond_embed))),
        "head": _hoisted_head(model, sampling),
    }


def _hoisted_head(model: MAR, sampling: Sampling) -> Work:
    """The modulations' weights are read once an AR step, the others once a diffusion step."""
    head, branches = model.head, sampling.branches
    fast = ModulatedHead(head, branches, torch.float32)
    width = fast.width
    once = counted(fast.modulations, meta(1, width), meta(branches, width))
    modulations = (meta(branches, width),) * (3 * len(fast.blocks) + 2)
    with torch.inference_mode():
        weight = fast.output_weight(meta())
    body = counted(lambda: fast(meta(1, head.channels), modulations, weight))
    hoisted = sum(p.numel() for p in fast.modulation)
    rest = numbers(head.input_proj, head.res_blocks, head.final_layer) - hoisted
    uses = sampling.ar_steps * hoisted + sum(sampling.steps) * rest
    return Work(sampling.evaluations(model.config.tokens) * (once + body), uses)


def _encoder_numbers(model: MAR) -> int:
    return numbers(model.z_proj, model.z_proj_ln, model.encoder_blocks, model.encoder_norm)


def _decoder_numbers(model: MAR) -> int:
    return numbers(model.decoder_embed, model.decoder_blocks, model.decoder_norm)
