"""Stage `encode`: cache the latents of the training images."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import torch

from marval.artifacts import write_json
from marval.data.encoding import encode_shards, shard_names
from marval.data.images import ImageSet, open_training
from marval.data.latents import read_notes, write_index
from marval.data.normaliser import ChannelStatistics, fixed, measured
from marval.models.saved import load_autoencoder
from marval.models.tokenizer import Tokenizer
from marval.pipeline.run import Context
from marval.processes.group import here, wait_for_all


def parallelism(context: Context) -> int:
    """How many processes can share the work."""
    return len(shard_names(_images(context), context.preset.encode))


def run(context: Context) -> None:
    """Write posterior moments, and the channel statistics that normalise them to zero mean and unit deviation.

    The statistics are those of the data, unless the autoencoder comes with a scale.
    """
    process = here()
    images, settings, shards = _images(context), context.preset.encode, context.checkpoints / "shards"
    config, autoencoder = load_autoencoder(context.files.tokenizer)
    channels = config.token_channels
    plain = Tokenizer(config, autoencoder, torch.zeros(channels), torch.ones(channels)).to(process.device)
    encode_shards(images, plain, settings, shards, process.index, process.count, context.label)
    wait_for_all()
    if not process.is_first:
        return
    names = shard_names(images, settings)
    parts = [ChannelStatistics.from_notes(read_notes(shards / name)) for name in names]
    assemble(shards, names, context.output(context.files.latents))
    normaliser = fixed(config.latent_scale, channels) if config.latent_scale else measured(parts)
    write_json(context.output(context.files.normaliser), normaliser)


def _images(context: Context) -> ImageSet:
    return open_training(context.files.data, context.preset.prepare)


def assemble(shards: Path, names: list[str], folder: Path) -> None:
    """Make `folder` of finished shards, which stay where they are until the stage has done all: an interruption loses none."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as beside:
        whole = Path(beside) / folder.name
        whole.mkdir()
        for name in names:
            _link(shards / name, whole / name)
        write_index(whole, names)
        shutil.rmtree(folder, ignore_errors=True)
        whole.rename(folder)


def _link(source: Path, target: Path) -> None:
    """A second name for the file, which costs no space; a copy where the file system has no such thing."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
