"""Stage `frames`: samples of every model at a few moments of its training, one picture a model: what the losses look like.

A row is a moment, the earliest on top; a column is an image by its index, so one of each class where there are ten.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from marval.artifacts import load_weights
from marval.models.mar import MAR
from marval.models.saved import load_mar, load_tokenizer
from marval.models.tokenizer import Tokenizer
from marval.pictures import write_image
from marval.pipeline.preset import TEACHER, Preset
from marval.pipeline.run import Context
from marval.processes.group import here
from marval.sampling.images import plain_sampler, sample_images, token_samplers
from marval.sampling.settings import Role, SampleVariant
from marval.training.snapshots import snapshot_files

COLUMNS = 10
CHAIN_STEPS = 8  # of the teacher's diffusion chain: enough to see how training goes


def run(context: Context) -> None:
    """Write the pictures of all models that have been trained, MODEL-sSEED.png."""
    files, preset = context.files, context.preset
    folder = context.output("training")
    tokenizer = load_tokenizer(files.tokenizer, files.normaliser).to(here().device)
    folder.mkdir(parents=True, exist_ok=True)
    for model in preset.models:
        for seed in preset.model_seeds(model):
            if snapshots := snapshot_files(files.snapshots(model, seed)):
                states = _states(load_mar(files.model(model, seed)).to(here().device), snapshots.values())
                rows = [_row(state, tokenizer, preset, _look(preset, model), seed) for state in states]
                write_image(folder / f"{model}-s{seed}.png", np.concatenate(rows))


def _states(model: MAR, snapshots: Iterable[Path]) -> Iterator[MAR]:
    """The model as it was at each snapshot, and at last as it is."""
    last = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for path in snapshots:
        load_weights(model, path)
        yield model
    model.load_state_dict(last)
    yield model


def _look(preset: Preset, model: str) -> SampleVariant:
    """How a model is sampled here: simply, for all moments alike."""
    tuned = model in preset.reinforce.variants
    ar_steps = preset.reinforce.training.ar_steps if tuned else preset.teacher.model.side
    steps = CHAIN_STEPS if model == TEACHER else 1
    return SampleVariant(role=Role.ABLATION, model=model, diffusion_steps=steps, ar_steps=ar_steps)


def _row(model: MAR, tokenizer: Tokenizer, preset: Preset, look: SampleVariant, seed: int) -> np.ndarray:
    inner = token_samplers(preset.sample, look, preset.one_step_t, model.mask_token.device)
    draw_tokens = plain_sampler(model, inner, look)
    images = sample_images(model, tokenizer, look, seed, range(COLUMNS), draw_tokens)
    return np.concatenate(list(images), axis=1)
