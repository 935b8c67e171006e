"""Stage `showcase`: pictures of what a free order is for, and the nearest training images: does the model only repeat them?

The same image grown in random, raster and centre-out order; parts of real images filled in; the nearest training images of a
few samples, in the features of the classifier that judges them.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from marval.artifacts import read_npz, write_npz
from marval.data.images import ImageSet, open_training
from marval.masking.settings import OrderLaw
from marval.models.mar import MAR
from marval.models.saved import load_mar, load_tokenizer
from marval.models.tokenizer import Tokenizer, from_bytes
from marval.pipeline.run import Context
from marval.processes.group import here
from marval.sampling.draws import Draws, draw_images
from marval.sampling.images import decoded
from marval.sampling.reference import sample_tokens
from marval.sampling.token_samplers import OneStep
from metrics.features import FeatureJudge, features_of
from metrics.judges.opened import open_folder

IMAGES = 8
FILLINGS = 5
NEIGHBOURS = 5
BATCH = 256  # of training images that a judge sees at once


@torch.no_grad()
def run(context: Context) -> None:
    """Write showcase.npz and neighbours.npz; the arrays are described in `reports.samples`."""
    preset, files = context.preset, context.files
    device = here().device
    model = load_mar(files.model(preset.showcase.model, preset.showcase.seed)).to(device)
    tokenizer = load_tokenizer(files.tokenizer, files.normaliser).to(device)
    test, train = read_npz(files.held_out), open_training(files.data, preset.prepare)
    originals = test["arr_0"][:IMAGES], torch.from_numpy(test["arr_1"][:IMAGES])
    ar_steps = preset.showcase.ar_steps
    strips = {
        f"strip_{law.value.replace('-', '_')}": strip(model, tokenizer, preset.one_step_t, law, ar_steps)
        for law in OrderLaw
    }
    masked, filled = inpaint(model, tokenizer, preset.one_step_t, *originals, ar_steps)
    write_npz(
        context.output("showcase.npz"),
        **strips,
        inpaint_original=originals[0],
        inpaint_masked=masked,
        inpaint_filled=filled,
    )
    shown = read_npz(files.samples(preset.showcase.variant))
    samples, labels = shown["arr_0"][:IMAGES], shown["arr_1"][:IMAGES]
    near, distances = neighbours(open_folder(files.judges).to(device).features, samples, labels, train)
    write_npz(context.output("neighbours.npz"), samples=samples, neighbours=near, distances=distances)


def strip(model: MAR, tokenizer: Tokenizer, one_step_t: int, law: OrderLaw, ar_steps: int) -> np.ndarray:
    """uint8 `(ar_steps + 1, H, W, 3)`: one image from all masked to finished; masked tokens are decoded as zero."""
    size = model.config
    device = model.mask_token.device
    draws = draw_images(0, range(1), size.side, size.channels, 1, law).to(device)
    steps = [torch.zeros_like(draws.start)]
    label = torch.tensor([3 % size.classes], device=device)
    sample_tokens(model, OneStep.at(one_step_t, device), label, draws, ar_steps, 1, on_step=steps)
    return decoded(tokenizer, torch.cat(steps))


def inpaint(
    model: MAR, tokenizer: Tokenizer, one_step_t: int, images: np.ndarray, labels: Tensor, ar_steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """What is given `(n, H, W, 3)` and `FILLINGS` fillings of it `(n, FILLINGS, H, W, 3)`: the lower half is generated."""
    size, device = model.config, model.mask_token.device
    labels = labels.to(device)
    moments = tokenizer.encode_moments(from_bytes(torch.from_numpy(images)).to(device))
    known = moments.chunk(2, dim=1)[0].flatten(2).transpose(1, 2)
    upper = size.tokens // 2
    given = known.clone()
    given[:, upper:] = 0
    sampler = OneStep.at(one_step_t, device)
    fillings = []
    for seed in range(FILLINGS):
        drawn = draw_images(seed, range(len(images)), size.side, size.channels, 1, OrderLaw.RANDOM)
        draws = Draws(_known_last(drawn.order, upper), drawn.start, drawn.steps).to(device)
        steps = min(ar_steps, size.tokens - upper)
        tokens = sample_tokens(model, sampler, labels, draws, steps, 1, known=known, known_count=upper)
        fillings.append(decoded(tokenizer, tokens))
    return decoded(tokenizer, given), np.stack(fillings, axis=1)


def _known_last(order: Tensor, upper: int) -> Tensor:
    """The same random order of the positions to fill, then those that are known (0 ... upper - 1)."""
    return order.gather(1, (order < upper).to(torch.uint8).argsort(dim=1, stable=True))


def neighbours(
    judge: FeatureJudge, samples: np.ndarray, labels: np.ndarray, train: ImageSet
) -> tuple[np.ndarray, np.ndarray]:
    """The `NEIGHBOURS` nearest training images of each sample's class `(n, k, H, W, 3)` and their distances `(n, k)`."""
    found = [
        nearest(judge, sample[None], train.images(np.flatnonzero(train.labels == label)))
        for sample, label in zip(samples, labels, strict=True)
    ]
    return np.stack([images for images, _ in found]), np.stack([apart for _, apart in found])


def nearest(judge: FeatureJudge, sample: np.ndarray, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Those of `images` nearest to one sample `(1, H, W, 3)` in the judge's features, and how far they are."""
    parts = [features_of(judge, images[first : first + BATCH]) for first in range(0, len(images), BATCH)]
    of_sample, of_images = (
        torch.from_numpy(features_of(judge, sample)),
        torch.from_numpy(np.concatenate(parts)),
    )
    found = torch.cdist(of_sample, of_images)[0].topk(min(NEIGHBOURS, len(images)), largest=False)
    return images[found.indices.numpy()], found.values.numpy()
