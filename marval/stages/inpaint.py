"""Stage `inpaint`: one variant fills in parts of held-out images, given their class, which is what a free order is for.

Every held-out image is masked in three ways (its lower half, its middle, half of its tokens at random), and each is filled in
`inpaint.draws` times. Image index = (draw, mask, held-out image), the last running fastest; masks and noise follow from seed and
index, so that a teacher and its student fill in the same with the same noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from marval.artifacts import read_npz, write_npz
from marval.masking.inpainting import Mask, hidden_first
from marval.models.saved import load_mar, load_tokenizer
from marval.models.tokenizer import Tokenizer, from_bytes
from marval.pictures import write_image
from marval.pipeline.run import Context
from marval.processes.group import here, shard, wait_for_all
from marval.progress import Progress
from marval.sampling.batches import Batch, Draw, collect, keep, missing
from marval.sampling.chain_lengths import noisy_steps
from marval.sampling.draws import Draws, draw_images
from marval.sampling.images import DECODE_BATCH, decoded, token_samplers
from marval.sampling.reference import sample_tokens
from marval.sampling.settings import SampleVariant

COLUMNS = 10  # of the picture


@dataclass(frozen=True)
class HeldOut:
    """Images as tokens `(H, N, C)` and their labels `(H,)`."""

    tokens: Tensor
    labels: Tensor


def parallelism(context: Context, variant: str) -> int:
    """How many processes can share the work that is left."""
    images = len(read_npz(context.files.held_out)["arr_1"])
    return max(1, len(missing(context.checkpoints, _batches(context, variant, images))))


@torch.no_grad()
def run(context: Context, variant: str) -> None:
    """Write arr_0 (uint8 NHWC), arr_1 (labels), seed and index of every image, and for each mask a few to look at."""
    files, settings = context.files, context.preset.variants[variant]
    real = read_npz(files.held_out)
    tokenizer = load_tokenizer(files.tokenizer, files.normaliser).to(here().device)
    known = HeldOut(_encoded(tokenizer, real["arr_0"]), torch.from_numpy(real["arr_1"]))
    batches = _batches(context, variant, len(known.labels))
    left = missing(context.checkpoints, batches)
    wait_for_all()
    mine = [left[k] for k in shard(len(left))]
    total = sum(len(indices) for _, indices in mine)
    with Progress(context.label, total=total, unit="image", shown=here().is_first) as progress:
        keep(context.checkpoints, mine, partial(_draw_with, context, settings, tokenizer, known), progress)
    wait_for_all()
    if not here().is_first:
        return
    pixels, index = collect(context.checkpoints, batches), np.arange(batches[-1][1].stop)
    path = context.output(files.inpainted(variant))
    seed = np.full(len(index), batches[0][0])
    write_npz(path, arr_0=pixels, arr_1=real["arr_1"][index % len(real["arr_1"])], seed=seed, index=index)
    write_image(context.output(path.with_suffix(".png")), _picture(real["arr_0"], pixels))


def _batches(context: Context, variant: str, images: int) -> list[Batch]:
    """Of the variant's first seed; each within one mask, for whose images the number of hidden tokens is the same."""
    (seed, *_), size = context.preset.variant_seeds(variant), context.preset.sample.batch
    sets = context.preset.inpaint.draws * len(Mask)
    return [
        (seed, range(first + k, first + min(k + size, images)))
        for first in range(0, sets * images, images)
        for k in range(0, images, size)
    ]


def _encoded(tokenizer: Tokenizer, images: np.ndarray) -> Tensor:
    """Means of the posterior as tokens `(H, N, C)`."""
    device = here().device
    parts = [
        tokenizer.encode_moments(from_bytes(part).to(device)).chunk(2, dim=1)[0]
        for part in torch.from_numpy(images).split(DECODE_BATCH)
    ]
    return torch.cat(parts).flatten(2).transpose(1, 2)


def _draw_with(
    context: Context, variant: SampleVariant, tokenizer: Tokenizer, known: HeldOut, seed: int
) -> Draw:
    model = load_mar(context.files.model(variant.model, seed)).to(here().device)
    sample, one_step_t = context.preset.sample, context.preset.one_step_t

    def draw(indices: range) -> np.ndarray:
        size, count = model.config, len(known.labels)
        mask = list(Mask)[indices.start // count % len(Mask)]
        draws = draw_images(seed, indices, size.side, size.channels, noisy_steps(variant), variant.order)
        order, hidden = hidden_first(draws.order, mask, size.side)
        draws = Draws(order, draws.start, draws.steps).to(model.mask_token.device)
        which = torch.arange(indices.start, indices.stop) % count
        tokens, labels = known.tokens[which], known.labels[which].to(model.mask_token.device)
        steps = math.ceil(variant.ar_steps * hidden / size.tokens)
        fewer = variant.model_copy(update={"ar_steps": steps})
        sampler = token_samplers(sample, fewer, one_step_t, model.mask_token.device)
        filled = sample_tokens(
            model, sampler, labels, draws, steps, variant.guidance, tokens, size.tokens - hidden
        )
        return decoded(tokenizer, filled)

    return draw


def _picture(real: np.ndarray, filled: np.ndarray) -> np.ndarray:
    """Held-out images in the top row, and for each mask their first fillings below."""
    count = len(real)
    shown = np.linspace(0, count - 1, min(COLUMNS, count)).astype(int)
    rows = [real[shown], *(filled[k * count + shown] for k in range(len(Mask)))]
    return np.concatenate([np.concatenate(list(row), axis=1) for row in rows])
