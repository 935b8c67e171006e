"""Stage `speed`: wall-clock seconds for an image, teacher against student, on the machine at hand.

Variants are timed in turn (A B C A B C ...), so that a drift of the machine meets all of them alike; medians with intervals;
the first round warms up and is not counted. Time does not depend on the weights, which are random here.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from marval.artifacts import write_json
from marval.models.mar import MAR
from marval.models.tokenizer import Tokenizer, build_autoencoder
from marval.progress import Progress
from marval.sampling.draws import draw_images
from marval.sampling.reference import sample_tokens
from marval.stages.context import Context
from marval.stages.models import read_mar_config, read_tokenizer_config
from marval.stages.preset import SampleConfig, SampleVariant
from marval.stages.sample import balanced_labels, token_sampler
from marval.training.seeding import seed_construction

MODE = "eager"  # the reference sampler, as it is written
CONFIDENCE = 0.95


def run(context: Context) -> None:
    """Write one row for each variant and batch size, and print them."""
    preset, config = context.preset, context.preset.speed
    model_file = next(p for p in context.declared.dependencies if p.parent.name == "teacher")
    seed_construction(0)
    model = MAR(read_mar_config(model_file)).eval()
    size = read_tokenizer_config(context.results / "models/tokenizer.json")
    channels = size.latent_channels
    tokenizer = Tokenizer(size, build_autoencoder(size), torch.zeros(channels), torch.ones(channels))
    total = len(config.batches) * (config.repetitions + 1)
    rows = []
    with Progress(context.label, total=total, unit="round") as progress:
        for batch in config.batches:
            jobs = {
                name: job(model, tokenizer, preset.sample, preset.variants[name], batch)
                for name in config.variants
            }
            seconds = interleaved(jobs, config.repetitions, lambda: progress.advance(1))
            for name, taken in seconds.items():
                shares = component_shares(jobs[name], model, tokenizer)
                rows.append(_row(name, preset.variants[name], batch, np.array(taken) / batch, shares))
    write_json(context.output("speed.json"), rows)
    _print(rows)


def job(
    model: MAR, tokenizer: Tokenizer, config: SampleConfig, variant: SampleVariant, batch: int
) -> Callable[[], None]:
    """One batch of whole images, from noise to pixels; drawing the noise is not part of it."""
    size = model.config
    draws = draw_images(0, range(batch), size.side, size.channels, variant.diffusion_steps, variant.order)
    labels = torch.from_numpy(balanced_labels(np.arange(batch), size.classes))
    sampler = token_sampler(config, variant)

    @torch.no_grad()
    def work() -> None:
        tokenizer.decode(sample_tokens(model, sampler, labels, draws, variant.ar_steps, variant.guidance))

    return work


def interleaved(
    jobs: dict[str, Callable[[], None]], repetitions: int, after_round: Callable[[], None]
) -> dict[str, list[float]]:
    """Seconds of each job in `repetitions` rounds, after one round of warm-up."""
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(repetitions + 1):
        for name, work in jobs.items():
            start = time.perf_counter()
            work()
            seconds[name].append(time.perf_counter() - start)
        after_round()
    return {name: taken[1:] for name, taken in seconds.items()}


def median_interval(values: np.ndarray) -> tuple[float, float]:
    """Distribution-free 95% interval of the median from order statistics (the range itself for few values)."""
    from scipy.stats import binom

    n = len(values)
    rank = int(binom.ppf((1 - CONFIDENCE) / 2, n, 0.5))
    ordered = np.sort(values)
    return float(ordered[max(rank - 1, 0)]), float(ordered[min(n - rank, n - 1)])


def component_shares(work: Callable[[], None], model: MAR, tokenizer: Tokenizer) -> dict[str, float]:
    """Share of a run's time in the transformer's encoder and decoder, the head, and the tokenizer's decoder."""
    totals: dict[str, float] = {}
    with (
        _timed(model, "encode", "encoder", totals),
        _timed(model, "decode", "decoder", totals),
        _timed(model.head, "forward", "head", totals),
        _timed(tokenizer, "decode", "tokenizer", totals),
    ):
        start = time.perf_counter()
        work()
        whole = time.perf_counter() - start
    return {name: round(seconds / whole, 4) for name, seconds in totals.items()}


@contextmanager
def _timed(owner: nn.Module, method: str, name: str, totals: dict[str, float]) -> Iterator[None]:
    original = getattr(owner, method)

    def timed(*args: Any, **kwargs: Any) -> Any:
        start = time.perf_counter()
        try:
            return original(*args, **kwargs)
        finally:
            totals[name] = totals.get(name, 0.0) + time.perf_counter() - start

    setattr(owner, method, timed)
    try:
        yield
    finally:
        delattr(owner, method)


def _row(
    name: str, variant: SampleVariant, batch: int, seconds: np.ndarray, shares: dict[str, float]
) -> dict[str, Any]:
    low, high = median_interval(seconds)
    return {
        "model": variant.model,
        "variant": name,
        "device": "cpu",
        "threads": torch.get_num_threads(),
        "batch": batch,
        "ar_steps": variant.ar_steps,
        "diffusion_steps": variant.diffusion_steps,
        "guidance": variant.guidance,
        "mode": MODE,
        "seconds_per_image": float(np.median(seconds)),
        "ci_low": low,
        "ci_high": high,
        "n": len(seconds),
        "shares": shares,
    }


def _print(rows: list[dict[str, Any]]) -> None:
    lines = [f"{'variant':<16}{'batch':>6}{'ms an image':>13}   95% interval"]
    for row in rows:
        ms, low, high = (1000 * row[key] for key in ("seconds_per_image", "ci_low", "ci_high"))
        lines.append(f"{row['variant']:<16}{row['batch']:>6}{ms:>13.2f}   {low:.2f} to {high:.2f}")
    sys.stderr.write("\n".join(lines) + "\n")
