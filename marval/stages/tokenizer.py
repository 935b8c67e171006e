"""Stage `tokenizer`: train the KL autoencoder."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, cast

import numpy as np
import torch

from marval.artifacts import read_npz, write_csv, write_json, write_tensors
from marval.data.sources import PrepareConfig
from marval.methods.tokenizer import TokenizerMethod
from marval.models.tokenizer import from_bytes
from marval.pipeline.run import Context
from marval.training.checkpoints import CheckpointStore
from marval.training.loop import fit
from marval.training.seeding import seed_construction

if TYPE_CHECKING:
    from diffusers import AutoencoderKL

LOG_EVERY = 20


def run(context: Context) -> None:
    """Write the averaged weights, the configuration with the held-out quality, and the curve."""
    config, files = context.preset.trained_tokenizer, context.files
    source: PrepareConfig = context.preset.prepare
    images, test = source.open_training(files.data), read_npz(files.held_out)["arr_0"]
    train = images.images(np.arange(len(images)))
    seed_construction(config.seed)
    method = TokenizerMethod(config, from_bytes(torch.from_numpy(train)))
    store = CheckpointStore(context.checkpoints)
    rows = fit(method, config.steps, config.seed, store, context.label, LOG_EVERY)
    autoencoder = cast("AutoencoderKL", method.average.module).eval()
    psnr = held_out_psnr(autoencoder, from_bytes(torch.from_numpy(test))[:, : config.model.image_channels])
    logging.getLogger("marval").info("held-out reconstruction: %.2f dB", psnr)
    write_tensors(context.output(files.tokenizer), dict(autoencoder.state_dict()))
    description = {"kind": "tokenizer", "config": config.model.model_dump(), "held_out_psnr_db": psnr}
    write_json(context.output(files.tokenizer.with_suffix(".json")), description)
    write_csv(context.output(files.curve("tokenizer")), rows)


@torch.no_grad()
def held_out_psnr(autoencoder: AutoencoderKL, images: torch.Tensor) -> float:
    """Peak signal-to-noise ratio of reconstructions from posterior means, decibels, mean over images."""
    decoded = autoencoder.decode(autoencoder.encode(images).latent_dist.mean).sample.clamp(-1, 1)
    error = ((decoded - images) / 2).square().mean(dim=(1, 2, 3))
    return (-10 * error.log10()).mean().item()
