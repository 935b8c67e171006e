"""Stage `latency`: the time column of the paper's Table 1, and the speed-up by regime, without data or trained weights.

On a GPU MAR-B, L and H with KL-16 at 256 x 256; elsewhere a reduced version, which says so in every row.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import torch

from marval.artifacts import write_json
from marval.models.mar import MAR
from marval.models.settings import MARConfig
from marval.models.tokenizer import random_tokenizer
from marval.pipeline.run import Context
from marval.processes.group import here
from marval.progress import Progress
from marval.sampling.settings import SampleConfig, SampleVariant
from marval.timing.images import Subject, measure
from marval.timing.settings import LatencyConfig, LatencyScale
from marval.timing.table import Row, table
from marval.training.seeding import seed_construction

ONE_STEP_T = 900  # any noise level takes the same time


def run(context: Context) -> None:
    """Write one row for each model, variant, mode, number of AR steps and batch size, and print them."""
    config = context.latency.latency
    device = here().device
    scale = config.gpu if device.type == "cuda" else config.cpu
    sizes = sum(len(regime.batches) * len(regime.models) for regime in scale.regimes)
    rows: list[Row] = []
    with Progress(context.label, total=sizes, unit="batch size") as progress:
        for name in scale.models:
            rows += _rows_of(config, scale, name, device, lambda: progress.advance(1))
    write_json(context.output("speed.json"), rows)
    sys.stderr.write(f"{scale.note}\n" if scale.note else "")
    for name in scale.models:
        sys.stderr.write(f"{name}\n{table([row for row in rows if row['model'] == name])}\n")


def _rows_of(
    config: LatencyConfig, scale: LatencyScale, name: str, device: torch.device, done: Callable[[], None]
) -> list[Row]:
    """The rows of one model, which is dropped afterwards."""
    seed_construction(0)
    tokenizer = random_tokenizer(config.tokenizer).to(device)
    subject = Subject(_model(scale.models[name], device), tokenizer, _settings(scale), ONE_STEP_T)
    rows: list[Row] = []
    for regime in scale.regimes:
        if name not in regime.models:
            continue
        variants = {
            kind: SampleVariant(model=name, ar_steps=regime.ar_steps, **variant.model_dump())
            for kind, variant in config.variants.items()
        }
        for batch in regime.batches:
            found = measure(subject, variants, config.modes, batch, scale.repetitions, scale.budget_seconds)
            rows += [{**row, "note": scale.note} for row in found]
            done()
    return rows


def _model(size: MARConfig, device: torch.device) -> MAR:
    with device:
        return MAR(size).eval()


def _settings(scale: LatencyScale) -> SampleConfig:
    return SampleConfig(images=10, batch=1, precision=scale.precision)
