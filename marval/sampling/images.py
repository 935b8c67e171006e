"""From seed and index to pixels: how the images of a variant are drawn, by the fast sampler or by the one to read."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

import numpy as np
import torch
from torch import Tensor

from marval.models.mar import MAR
from marval.models.tokenizer import Tokenizer, to_bytes
from marval.noise.schedule import NoiseSchedule
from marval.sampling.chain_lengths import noisy_steps, steps_by_ar_step
from marval.sampling.draws import Draws, draw_images
from marval.sampling.optimised import OptimisedSampler
from marval.sampling.reference import sample_tokens
from marval.sampling.registry import ANCESTRAL, SOLVERS
from marval.sampling.settings import InnerSampling, SampleConfig, SampleVariant
from marval.sampling.solvers.levels import even_levels
from marval.sampling.token_samplers import (
    DiffusionChain,
    OneStep,
    SolverChain,
    TokenSampler,
    TokenSamplers,
)

DECODE_BATCH = 32  # images; the decoder needs far more memory for each than the networks that make tokens
TokenDrawer = Callable[[Tensor, Draws], Tensor]  # labels and randomness of some images -> their tokens


def balanced_labels(index: np.ndarray, classes: int) -> np.ndarray:
    """The class of an image follows from its index alone: 0, 1, ..., K - 1, 0, 1, ..."""
    return index.astype(np.int64) % classes


def token_samplers(
    config: SampleConfig, variant: SampleVariant, one_step_t: int, device: torch.device | str = "cpu"
) -> list[TokenSampler]:
    """The inner sampler of each AR step of a variant: one object for all those that are alike."""
    steps = steps_by_ar_step(variant, variant.ar_steps)
    made = {count: _token_sampler(config, variant, count, one_step_t, device) for count in set(steps)}
    return [made[count] for count in steps]


def _token_sampler(
    config: SampleConfig, variant: InnerSampling, steps: int, one_step_t: int, device: torch.device | str
) -> TokenSampler:
    """A chain of `steps` steps; of the ancestral one, a single step is the head evaluated once at `one_step_t`."""
    if variant.sampler != ANCESTRAL:
        return SolverChain(import_module(SOLVERS[variant.sampler]), even_levels(steps, config.chain_start))
    if steps == 1:
        return OneStep.at(one_step_t, device)
    return DiffusionChain(NoiseSchedule.respaced(steps, config.chain_start, device), config.temperature)


def fast_sampler(model: MAR, config: SampleConfig, variant: SampleVariant, one_step_t: int) -> TokenDrawer:
    """For many batches of one model."""
    inner = token_samplers(config, variant, one_step_t, model.mask_token.device)
    dtype = torch.bfloat16 if config.precision == "bf16" else torch.float32
    return OptimisedSampler(model, inner, variant.ar_steps, variant.guidance, dtype)


def plain_sampler(model: MAR, inner: TokenSamplers, variant: SampleVariant) -> TokenDrawer:
    """For a few images of a model, without preparation."""

    def draw(labels: Tensor, draws: Draws) -> Tensor:
        return sample_tokens(model, inner, labels, draws, variant.ar_steps, variant.guidance)

    return draw


@torch.no_grad()
def sample_images(
    model: MAR,
    tokenizer: Tokenizer,
    variant: SampleVariant,
    seed: int,
    indices: range,
    draw_tokens: TokenDrawer,
    candidate: int = 0,
) -> np.ndarray:
    """uint8 `(B, H, W, 3)` for the image indices, computed where the model is; `candidate`: which of several for each."""
    size, device = model.config, model.mask_token.device
    draws = draw_images(
        seed, indices, size.side, size.channels, noisy_steps(variant), variant.order, candidate
    )
    labels = torch.from_numpy(balanced_labels(np.array(indices), size.classes))
    tokens = draw_tokens(labels.to(device), draws.to(device))
    return decoded(tokenizer, tokens)


def decoded(tokenizer: Tokenizer, tokens: Tensor) -> np.ndarray:
    """uint8 `(B, H, W, 3)` of tokens `(B, N, C)`."""
    return torch.cat([to_bytes(tokenizer.decode(part)).cpu() for part in tokens.split(DECODE_BATCH)]).numpy()
