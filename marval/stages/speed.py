"""Stage `speed`: wall-clock seconds for an image, teacher against student, eager and optimised, on the machine at hand.

Time does not depend on the weights, which are random here: only the sizes of the networks are read.
"""

from __future__ import annotations

import sys

from marval.artifacts import write_json
from marval.models.mar import MAR
from marval.models.saved import read_mar_config, read_tokenizer_config
from marval.models.tokenizer import random_tokenizer
from marval.pipeline.preset import TEACHER
from marval.pipeline.run import Context
from marval.processes.group import here
from marval.progress import Progress
from marval.timing.images import Subject, measure
from marval.timing.table import table
from marval.training.seeding import seed_construction


def run(context: Context) -> None:
    """Write one row for each variant, mode and batch size, and print them."""
    preset, config = context.preset, context.preset.speed
    files = context.files
    seed_construction(0)
    model = MAR(read_mar_config(files.model(TEACHER, preset.first_teacher))).eval().to(here().device)
    tokenizer = random_tokenizer(read_tokenizer_config(files.tokenizer))
    subject = Subject(model, tokenizer.to(here().device), preset.sample, preset.one_step_t)
    variants = {name: preset.variants[name] for name in config.variants}
    total = len(config.batches) * len(variants) * len(config.modes) * (config.repetitions + 1)
    rows = []
    with Progress(context.label, total=total, unit="run") as progress:
        for batch in config.batches:
            rows += measure(
                subject,
                variants,
                config.modes,
                batch,
                config.repetitions,
                config.budget_seconds or float("inf"),
                after_run=lambda: progress.advance(1),
            )
    write_json(context.output("speed.json"), rows)
    sys.stderr.write(table(rows) + "\n")
