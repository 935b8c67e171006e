"""From seed and index to pixels: how the images of a variant are drawn, by the fast sampler or by the one to read."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from marval.models.mar import MAR
from marval.models.tokenizer import Tokenizer, to_bytes
from marval.noise.schedule import NoiseSchedule
from marval.sampling.draws import Draws, draw_images
from marval.sampling.optimised import OptimisedSampler
from marval.sampling.reference import sample_tokens
from marval.sampling.settings import SampleConfig, SampleVariant
from marval.sampling.token_samplers import DiffusionChain, OneStep, TokenSampler

DECODE_BATCH = 32  # images; the decoder needs far more memory for each than the networks that make tokens
TokenDrawer = Callable[[Tensor, Draws], Tensor]  # labels and randomness of some images -> their tokens


def balanced_labels(index: np.ndarray, classes: int) -> np.ndarray:
    """The class of an image follows from its index alone: 0, 1, ..., K - 1, 0, 1, ..."""
    return index.astype(np.int64) % classes


def token_sampler(
    config: SampleConfig, variant: SampleVariant, one_step_t: int, device: torch.device | str = "cpu"
) -> TokenSampler:
    """The inner sampler of a variant: one head evaluation at `one_step_t`, or a diffusion chain."""
    if variant.diffusion_steps == 1:
        return OneStep.at(one_step_t, device)
    schedule = NoiseSchedule.respaced(variant.diffusion_steps, config.chain_start, device)
    return DiffusionChain(schedule, config.temperature)


def fast_sampler(model: MAR, config: SampleConfig, variant: SampleVariant, one_step_t: int) -> TokenDrawer:
    """For many batches of one model."""
    inner = token_sampler(config, variant, one_step_t, model.mask_token.device)
    dtype = torch.bfloat16 if config.precision == "bf16" else torch.float32
    return OptimisedSampler(model, inner, variant.ar_steps, variant.guidance, dtype)


def plain_sampler(model: MAR, inner: TokenSampler, variant: SampleVariant) -> TokenDrawer:
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
) -> np.ndarray:
    """uint8 `(B, H, W, 3)` for the image indices, computed where the model is."""
    size, device = model.config, model.mask_token.device
    draws = draw_images(seed, indices, size.side, size.channels, variant.diffusion_steps, variant.order)
    labels = torch.from_numpy(balanced_labels(np.array(indices), size.classes))
    tokens = draw_tokens(labels.to(device), draws.to(device))
    return decoded(tokenizer, tokens)


def decoded(tokenizer: Tokenizer, tokens: Tensor) -> np.ndarray:
    """uint8 `(B, H, W, 3)` of tokens `(B, N, C)`."""
    return torch.cat([to_bytes(tokenizer.decode(part)).cpu() for part in tokens.split(DECODE_BATCH)]).numpy()
