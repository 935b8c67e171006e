"""Stage `sample`: the images of one variant, for each of its seeds, in ADM's batch convention, and a grid to look at.

Processes deal the batches out among themselves. An image depends on its seed and index, and on its batch to the last bit, but not
on the process.

Where a variant keeps the best of several images, all are left here, consecutive and with the same seed and index: the stage
`evaluate`, which has the reward, chooses.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from marval.artifacts import write_npz
from marval.models.saved import load_mar, load_tokenizer, read_mar_config
from marval.models.tokenizer import Tokenizer
from marval.pictures import class_grid, write_image
from marval.pipeline.run import Context
from marval.processes.group import here, shard, wait_for_all
from marval.progress import Progress
from marval.sampling.batches import Batch, Draw, batches_of, collect, keep, missing
from marval.sampling.images import balanced_labels, fast_sampler, sample_images
from marval.sampling.settings import SampleVariant


def parallelism(context: Context, variant: str) -> int:
    """How many processes can share the work that is left."""
    return max(1, len(missing(context.checkpoints, _batches(context, variant))))


def run(context: Context, variant: str) -> None:
    """Write arr_0 (uint8 NHWC), arr_1 (labels), seed, index and set of every image, and the grid of the first set."""
    batches = _batches(context, variant)
    left = missing(context.checkpoints, batches)
    wait_for_all()
    mine = [left[k] for k in shard(len(left))]
    settings = context.preset.variants[variant]
    tokenizer = load_tokenizer(context.files.tokenizer, context.files.normaliser).to(here().device)
    total = sum(len(indices) for _, indices in mine)
    with Progress(context.label, total=total, unit="image", shown=here().is_first) as progress:
        keep(context.checkpoints, mine, partial(_draw_with, context, settings, tokenizer), progress)
    wait_for_all()
    if not here().is_first:
        return
    seed = np.concatenate([np.full(len(indices), seed) for seed, indices in batches]).repeat(settings.best_of)
    index = np.concatenate([np.array(indices) for _, indices in batches]).repeat(settings.best_of)
    pixels = collect(context.checkpoints, batches)
    classes = read_mar_config(context.files.model(settings.model, batches[0][0])).classes
    samples = context.output(context.files.samples(variant))
    images = context.preset.sample.images
    write_npz(
        samples,
        arr_0=pixels,
        arr_1=balanced_labels(index, classes),
        seed=seed,
        index=index,
        set=index // images,
    )
    first = pixels[:: settings.best_of][:images]
    write_image(context.output(samples.with_suffix(".png")), class_grid(first, classes))


def _batches(context: Context, variant: str) -> list[Batch]:
    config, sets = context.preset.sample, context.preset.variants[variant].sets
    return batches_of(context.preset.variant_seeds(variant), sets * config.images, config.batch)


def _draw_with(context: Context, variant: SampleVariant, tokenizer: Tokenizer, seed: int) -> Draw:
    model = load_mar(context.files.model(variant.model, seed)).to(here().device)
    sampler = fast_sampler(model, context.preset.sample, variant, context.preset.one_step_t)

    def draw(indices: range) -> np.ndarray:
        drawn = [
            sample_images(model, tokenizer, variant, seed, indices, sampler, candidate)
            for candidate in range(variant.best_of)
        ]
        return np.stack(drawn, axis=1).reshape(-1, *drawn[0].shape[1:])

    return draw
