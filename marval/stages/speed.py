"""Stage `speed`: wall-clock seconds for an image, teacher against student, eager and optimised, on the machine at hand.

Time does not depend on the weights, which are random here: only the sizes of the networks are read.
"""

from __future__ import annotations

import sys

import torch

from marval.artifacts import write_json
from marval.costs.printing import table
from marval.launch import here
from marval.models.mar import MAR
from marval.models.tokenizer import Tokenizer, TokenizerConfig, build_autoencoder
from marval.progress import Progress
from marval.stages.context import Context
from marval.stages.models import read_mar_config, read_tokenizer_config
from marval.stages.timed import Subject, measure
from marval.training.seeding import seed_construction


def run(context: Context) -> None:
    """Write one row for each variant, mode and batch size, and print them."""
    preset, config = context.preset, context.preset.speed
    model_file = next(p for p in context.declared.dependencies if p.parent.name == "teacher")
    seed_construction(0)
    model = MAR(read_mar_config(model_file)).eval().to(here().device)
    tokenizer = random_tokenizer(read_tokenizer_config(context.results / "models/tokenizer.json"))
    subject = Subject(model, tokenizer.to(here().device), preset.sample)
    variants = {name: preset.variants[name] for name in config.variants}
    total = len(config.batches) * (config.repetitions + 1)
    rows = []
    with Progress(context.label, total=total, unit="round") as progress:
        for batch in config.batches:
            rows += measure(
                subject,
                variants,
                config.modes,
                batch,
                config.repetitions,
                after_round=lambda: progress.advance(1),
            )
    write_json(context.output("speed.json"), rows)
    sys.stderr.write(table(rows) + "\n")


def random_tokenizer(size: TokenizerConfig) -> Tokenizer:
    """An untrained tokenizer; its latents' statistics change no time."""
    channels = size.latent_channels
    return Tokenizer(size, build_autoencoder(size), torch.zeros(channels), torch.ones(channels))
