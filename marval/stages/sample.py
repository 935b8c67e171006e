"""Stage `sample`: the images of one variant, for each of its seeds, in ADM's batch convention, and a grid to look at.

Each batch is kept beside the checkpoints when it is done: processes deal the batches out among themselves, and an interrupted
run goes on from them. An image depends on its seed and index, and on its batch to the last bit, but not on the process.
"""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

import numpy as np

from marval.artifacts import is_sealed, replacing, seal, write_npz
from marval.models.saved import load_mar, load_tokenizer, read_mar_config
from marval.pictures import class_grid, write_image
from marval.pipeline.run import Context
from marval.processes.group import here, shard, wait_for_all
from marval.progress import Progress
from marval.sampling.images import balanced_labels, fast_sampler, sample_images

Batch = tuple[int, range]  # seed and indices of its images


def parallelism(context: Context, variant: str) -> int:
    """How many processes can share the work."""
    return len(_batches(context, variant))


def run(context: Context, variant: str) -> None:
    """Write arr_0 (uint8 NHWC), arr_1 (labels), seed and index of every image, and the grid of the first seed."""
    batches = _batches(context, variant)
    _draw_batches(context, variant, [batches[k] for k in shard(len(batches))])
    wait_for_all()
    if not here().is_first:
        return
    seed = np.concatenate([np.full(len(indices), seed) for seed, indices in batches])
    index = np.concatenate([np.array(indices) for _, indices in batches])
    pixels = _collect(context, batches)
    model = context.preset.variants[variant].model
    classes = read_mar_config(context.files.model(model, batches[0][0])).classes
    labels = balanced_labels(index, classes)
    samples = context.output(context.files.samples(variant))
    write_npz(samples, arr_0=pixels, arr_1=labels, seed=seed, index=index)
    first = pixels[: context.preset.sample.images]
    write_image(context.output(samples.with_suffix(".png")), class_grid(first, classes))


def _collect(context: Context, batches: list[Batch]) -> np.ndarray:
    """All images in one array; 50,000 of 256x256 are 10 GB, so no second copy is made."""
    parts = [np.load(_part(context, *batch), mmap_mode="r") for batch in batches]
    pixels = np.empty((sum(map(len, parts)), *parts[0].shape[1:]), dtype=np.uint8)
    return np.concatenate(parts, out=pixels)


def _batches(context: Context, variant: str) -> list[Batch]:
    config, seeds = context.preset.sample, context.preset.variant_seeds(variant)
    firsts = range(0, config.images, config.batch)
    return [(seed, range(k, min(k + config.batch, config.images))) for seed in seeds for k in firsts]


def _part(context: Context, seed: int, indices: range) -> Path:
    return context.checkpoints / f"seed-{seed}-{indices.start:06d}.npy"


def _draw_batches(context: Context, name: str, batches: list[Batch]) -> None:
    """Sample what is not there yet."""
    preset, files = context.preset, context.files
    variant = preset.variants[name]
    wanted = [batch for batch in batches if not is_sealed(_part(context, *batch))]
    tokenizer = load_tokenizer(files.tokenizer, files.normaliser).to(here().device)
    total = sum(len(indices) for _, indices in wanted)
    with Progress(context.label, total=total, unit="image", shown=here().is_first) as progress:
        for seed, group in groupby(wanted, key=lambda batch: batch[0]):
            model = load_mar(files.model(variant.model, seed)).to(here().device)
            sampler = fast_sampler(model, preset.sample, variant, preset.one_step_t)
            for _, indices in group:
                images = sample_images(model, tokenizer, variant, seed, indices, sampler)
                with replacing(_part(context, seed, indices)) as temporary:
                    np.save(temporary, images)
                seal(_part(context, seed, indices))
                progress.advance(len(indices))
