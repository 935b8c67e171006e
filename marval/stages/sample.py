"""Stage `sample`: the images of one variant, for each of its seeds, in ADM's batch convention, and a grid to look at.

Each batch is kept beside the checkpoints when it is done: processes deal the batches out among themselves, and an interrupted
run goes on from them. An image depends on its seed and index, and on its batch to the last bit, but not on the process.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from marval.artifacts import replacing, write_image, write_npz
from marval.launch import here, shard, wait_for_all
from marval.models.mar import MAR
from marval.models.tokenizer import Tokenizer, to_bytes
from marval.noise.schedule import NoiseSchedule
from marval.progress import Progress
from marval.sampling.draws import Draws, draw_images
from marval.sampling.optimised import OptimisedSampler
from marval.sampling.reference import sample_tokens
from marval.sampling.token_samplers import DiffusionChain, OneStep, TokenSampler
from marval.stages.context import Context
from marval.stages.models import load_mar, load_tokenizer, read_mar_config
from marval.stages.preset import SampleConfig, SampleVariant

GRID_ROWS = 10
DECODED_AT_ONCE = 64  # images; the decoder needs far more memory for each than the networks that make tokens
Batch = tuple[int, range]  # seed and indices of its images
TokenDrawer = Callable[[Tensor, Draws], Tensor]  # labels and randomness of some images -> their tokens


def pieces(context: Context) -> int:
    """How many processes can share the work."""
    return len(_batches(context))


def run(context: Context) -> None:
    """Write arr_0 (uint8 NHWC), arr_1 (labels), seed and index of every image, and the grid of the first seed."""
    assert context.variant is not None
    batches = _batches(context)
    _draw_batches(context, [batches[k] for k in shard(len(batches))])
    wait_for_all()
    if not here().is_first:
        return
    seed = np.concatenate([np.full(len(indices), seed) for seed, indices in batches])
    index = np.concatenate([np.array(indices) for _, indices in batches])
    pixels = _collect(context, batches)
    model = context.preset.variants[context.variant].model
    classes = read_mar_config(context.model_path(model, batches[0][0]).with_suffix(".json")).classes
    labels = balanced_labels(index, classes)
    write_npz(context.output(".npz"), arr_0=pixels, arr_1=labels, seed=seed, index=index)
    first = pixels[: context.preset.sample.images]
    write_image(context.output(".png"), grid(first, classes, context.preset.sample.grid_columns))


def _collect(context: Context, batches: list[Batch]) -> np.ndarray:
    """All images in one array; 50,000 of 256x256 are 10 GB, so no second copy is made."""
    parts = [np.load(_part(context, *batch), mmap_mode="r") for batch in batches]
    pixels = np.empty((sum(map(len, parts)), *parts[0].shape[1:]), dtype=np.uint8)
    return np.concatenate(parts, out=pixels)


def _batches(context: Context) -> list[Batch]:
    assert context.variant is not None
    config, seeds = context.preset.sample, context.preset.variant_seeds(context.variant)
    firsts = range(0, config.images, config.batch)
    return [(seed, range(k, min(k + config.batch, config.images))) for seed in seeds for k in firsts]


def _part(context: Context, seed: int, indices: range) -> Path:
    return context.checkpoints / f"seed-{seed}-{indices.start:06d}.npy"


def _draw_batches(context: Context, batches: list[Batch]) -> None:
    """Sample what is not there yet."""
    assert context.variant is not None
    config, variant = context.preset.sample, context.preset.variants[context.variant]
    wanted = [batch for batch in batches if not _part(context, *batch).is_file()]
    tokenizer = load_tokenizer(context.results).to(here().device)
    total = sum(len(indices) for _, indices in wanted)
    with Progress(context.label, total=total, unit="image", shown=here().is_first) as progress:
        for seed, group in groupby(wanted, key=lambda batch: batch[0]):
            model = load_mar(context.model_path(variant.model, seed)).to(here().device)
            sampler = fast_sampler(model, config, variant)
            for _, indices in group:
                images = sample_images(model, tokenizer, config, variant, seed, indices, sampler)
                with replacing(_part(context, seed, indices)) as temporary:
                    np.save(temporary, images)
                progress.advance(len(indices))


def balanced_labels(index: np.ndarray, classes: int) -> np.ndarray:
    """The class of an image follows from its index alone: 0, 1, ..., K - 1, 0, 1, ..."""
    return index.astype(np.int64) % classes


def token_sampler(
    config: SampleConfig, variant: SampleVariant, device: torch.device | str = "cpu"
) -> TokenSampler:
    """The inner sampler of a variant: one head evaluation, or a diffusion chain."""
    if variant.diffusion_steps == 1:
        return OneStep.at(config.one_step_t, device)
    schedule = NoiseSchedule.respaced(variant.diffusion_steps, config.chain_start, device)
    return DiffusionChain(schedule, config.temperature)


def fast_sampler(model: MAR, config: SampleConfig, variant: SampleVariant) -> TokenDrawer:
    """For many batches of a model that stays as it is."""
    inner = token_sampler(config, variant, model.mask_token.device)
    dtype = torch.bfloat16 if config.precision == "bf16" else torch.float32
    return OptimisedSampler(model, inner, variant.ar_steps, variant.guidance, dtype)


def plain_sampler(model: MAR, config: SampleConfig, variant: SampleVariant) -> TokenDrawer:
    """For a look at a model that is in training."""
    inner = token_sampler(config, variant, model.mask_token.device)

    def draw(labels: Tensor, draws: Draws) -> Tensor:
        return sample_tokens(model, inner, labels, draws, variant.ar_steps, variant.guidance)

    return draw


@torch.no_grad()
def sample_images(
    model: MAR,
    tokenizer: Tokenizer,
    config: SampleConfig,
    variant: SampleVariant,
    seed: int,
    indices: range,
    draw_tokens: TokenDrawer | None = None,
) -> np.ndarray:
    """uint8 `(B, H, W, 3)` for the image indices, computed where the model is; by `plain_sampler` unless told otherwise."""
    size, device = model.config, model.mask_token.device
    draws = draw_images(seed, indices, size.side, size.channels, variant.diffusion_steps, variant.order)
    labels = torch.from_numpy(balanced_labels(np.array(indices), size.classes))
    draw_tokens = draw_tokens or plain_sampler(model, config, variant)
    tokens = draw_tokens(labels.to(device), draws.to(device))
    return torch.cat([to_bytes(tokenizer.decode(t)).cpu() for t in tokens.split(DECODED_AT_ONCE)]).numpy()


def grid(images: np.ndarray, classes: int, columns: int) -> np.ndarray:
    """One image `(rows H, columns W, 3)`: a row for each of up to `GRID_ROWS` classes, its first images by their index."""
    shown = np.linspace(0, min(classes, len(images)), min(classes, len(images), GRID_ROWS), endpoint=False)
    rows = [np.concatenate(list(images[int(k) :: classes][:columns]), axis=1) for k in shown]
    width = min(row.shape[1] for row in rows)
    return np.concatenate([row[:, :width] for row in rows])
