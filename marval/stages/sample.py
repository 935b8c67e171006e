"""Stage `sample`: the images of one variant, for each of its seeds, in ADM's batch convention, and a grid to look at."""

from __future__ import annotations

import numpy as np
import torch

from marval.artifacts import write_image, write_npz
from marval.models.mar import MAR
from marval.models.tokenizer import Tokenizer, to_bytes
from marval.noise.schedule import NoiseSchedule
from marval.progress import Progress
from marval.sampling.draws import draw_images
from marval.sampling.reference import sample_tokens
from marval.sampling.token_samplers import DiffusionChain, OneStep, TokenSampler
from marval.stages.context import Context
from marval.stages.models import load_mar, load_tokenizer
from marval.stages.preset import SampleConfig, SampleVariant


def run(context: Context) -> None:
    """Write arr_0 (uint8 NHWC), arr_1 (labels), seed and index of every image, and the grid of the first seed."""
    assert context.variant is not None
    config, variant = context.preset.sample, context.preset.variants[context.variant]
    tokenizer = load_tokenizer(context.results)
    seeds = context.preset.variant_seeds(context.variant)
    images = []
    with Progress(context.label, total=config.images * len(seeds), unit="image") as progress:
        for seed in seeds:
            model = load_mar(context.model_path(variant.model, seed))
            for first in range(0, config.images, config.batch):
                indices = range(first, min(first + config.batch, config.images))
                images.append(sample_images(model, tokenizer, config, variant, seed, indices))
                progress.advance(len(indices))
    pixels = np.concatenate(images)
    index = np.tile(np.arange(config.images), len(seeds))
    labels = balanced_labels(index, model.config.classes)
    seed_of = np.repeat(np.array(seeds), config.images)
    write_npz(context.output(".npz"), arr_0=pixels, arr_1=labels, seed=seed_of, index=index)
    write_image(
        context.output(".png"), grid(pixels[: config.images], model.config.classes, config.grid_columns)
    )


def balanced_labels(index: np.ndarray, classes: int) -> np.ndarray:
    """The class of an image follows from its index alone: 0, 1, ..., K - 1, 0, 1, ..."""
    return index.astype(np.int64) % classes


def token_sampler(config: SampleConfig, variant: SampleVariant) -> TokenSampler:
    """The inner sampler of a variant: one head evaluation, or a diffusion chain."""
    if variant.diffusion_steps == 1:
        return OneStep.at(config.one_step_t)
    schedule = NoiseSchedule.respaced(variant.diffusion_steps, config.chain_start)
    return DiffusionChain(schedule, config.temperature)


@torch.no_grad()
def sample_images(
    model: MAR, tokenizer: Tokenizer, config: SampleConfig, variant: SampleVariant, seed: int, indices: range
) -> np.ndarray:
    """uint8 `(B, H, W, 3)` for the image indices."""
    size = model.config
    draws = draw_images(seed, indices, size.side, size.channels, variant.diffusion_steps, variant.order)
    labels = torch.from_numpy(balanced_labels(np.arange(indices.start, indices.stop), size.classes))
    sampler = token_sampler(config, variant)
    tokens = sample_tokens(model, sampler, labels, draws, variant.ar_steps, variant.guidance)
    return to_bytes(tokenizer.decode(tokens)).numpy()


def grid(images: np.ndarray, classes: int, columns: int) -> np.ndarray:
    """One image `(classes H, columns W, 3)`: a row for each class, its first images in order of their index."""
    rows = [
        np.concatenate(list(images[k::classes][:columns]), axis=1) for k in range(min(classes, len(images)))
    ]
    width = min(row.shape[1] for row in rows)
    return np.concatenate([row[:, :width] for row in rows])
