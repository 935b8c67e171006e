"""Whole images against the clock: every variant at every batch size, by the reference sampler and by the optimised one.

`eager` is the reference, step by step as it is written; `optimised` gives the same tokens. Both end in pixels; drawing the noise
is not part of either. Where the preset's precision is bf16 the reference runs under autocast. Time does not depend on weights.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from marval.costs.counting import Work
from marval.costs.image import Sampling, Works, decoding, optimised, reference
from marval.models.mar import MAR
from marval.models.tokenizer import Tokenizer
from marval.sampling.draws import draw_images
from marval.sampling.images import DECODE_BATCH, balanced_labels, token_sampler
from marval.sampling.optimised import OptimisedSampler
from marval.sampling.reference import sample_tokens
from marval.sampling.settings import SampleConfig, SampleVariant
from marval.timing.clock import Watched, added, fits, interleaved, median_interval, watched_method
from marval.timing.floors import Machine, floor_seconds, machine_of
from marval.timing.settings import Mode
from marval.timing.table import Row

MEGABYTE = 1 << 20


@dataclass(frozen=True)
class Subject:
    """The networks that are timed, on their device, and the settings of sampling."""

    model: MAR
    tokenizer: Tokenizer
    sample: SampleConfig
    one_step_t: int

    @property
    def device(self) -> torch.device:
        return self.model.mask_token.device

    @property
    def dtype(self) -> torch.dtype:
        return torch.bfloat16 if self.sample.precision == "bf16" else torch.float32

    @cached_property
    def machine(self) -> Machine:
        weights = sum(p.numel() for p in self.model.parameters()) * self.dtype.itemsize
        return machine_of(self.device, self.dtype, weights)

    @cached_property
    def decoding(self) -> Work:
        return decoding(self.tokenizer.config, self.model.config.side)


class ImageJob:
    """One batch of whole images; `build` before anything else."""

    def __init__(self, subject: Subject, variant: SampleVariant, mode: Mode, batch: int) -> None:
        self.subject, self.variant, self.mode, self.batch = subject, variant, mode, batch
        self.peak_memory_mb: int | None = None

    def build(self) -> None:
        """Noise, labels and sampler."""
        subject, variant, size = self.subject, self.variant, self.subject.model.config
        steps = variant.diffusion_steps
        draws = draw_images(0, range(self.batch), size.side, size.channels, steps, variant.order)
        self.draws = draws.to(subject.device)
        self.labels = torch.from_numpy(balanced_labels(np.arange(self.batch), size.classes)).to(
            subject.device
        )
        self.inner = token_sampler(subject.sample, variant, subject.one_step_t, subject.device)
        if self.mode == "optimised":
            ar_steps, guidance = variant.ar_steps, variant.guidance
            self.fast = OptimisedSampler(subject.model, self.inner, ar_steps, guidance, subject.dtype)

    def warm_up(self) -> None:
        """Build and run once; on a GPU this measures the peak of memory, beside the model's own weights."""
        device = self.subject.device
        before = 0
        if device.type == "cuda":
            before = torch.cuda.memory_allocated(device)
            torch.cuda.reset_peak_memory_stats(device)
        self.build()
        self()
        if device.type == "cuda":
            self.peak_memory_mb = (torch.cuda.max_memory_allocated(device) - before) // MEGABYTE

    def __call__(self) -> None:
        self._pixels(self.tokens())

    def tokens(self) -> Tensor:
        """`(B, N, C)`."""
        return self._plain() if self.mode == "eager" else self.fast(self.labels, self.draws)

    def _plain(self) -> Tensor:
        subject, variant = self.subject, self.variant
        with torch.no_grad(), self._autocast():
            return sample_tokens(
                subject.model, self.inner, self.labels, self.draws, variant.ar_steps, variant.guidance
            )

    def _autocast(self) -> torch.autocast:
        device, low = self.subject.device.type, self.subject.dtype is torch.bfloat16
        return torch.autocast(device, torch.bfloat16, enabled=low)

    def _pixels(self, tokens: Tensor) -> None:
        with torch.no_grad(), self._autocast():
            for part in tokens.split(DECODE_BATCH):
                self.subject.tokenizer.decode(part.float())

    def head_evaluations(self) -> int:
        """How often one run evaluates the head, for all its tokens and either branch of guidance at once or each by itself."""
        calls = 0

        def count(*_: object) -> None:
            nonlocal calls
            calls += 1

        # every evaluation ends in the head's last layer
        hook = self.subject.model.head.final_layer.register_forward_hook(count)
        try:
            self._plain()
        finally:
            hook.remove()
        return calls

    def shares(self) -> dict[str, float]:
        """Share of a run's time in the transformer's encoder and decoder, the head, and the tokenizer's decoder."""
        model, device = self.subject.model, self.subject.device
        totals: dict[str, float] = {}
        with added(totals, "whole", device):
            if self.mode == "eager":
                with (
                    watched_method(model, "encode", "encoder", totals, device),
                    watched_method(model, "decode", "decoder", totals, device),
                    watched_method(model.head, "forward", "head", totals, device),
                ):
                    tokens = self._plain()
            else:
                with torch.inference_mode():
                    run = Watched(self.fast.runner(self.batch), device, totals)
                    first = self.fast.first_conditions(self.labels)
                    tokens = self.fast.generate(run, first, self.labels, self.draws)
            with added(totals, "tokenizer", device):
                self._pixels(tokens)
        whole = totals.pop("whole")
        return {name: round(seconds / whole, 4) for name, seconds in totals.items()}


def measure(
    subject: Subject,
    variants: Mapping[str, SampleVariant],
    modes: Sequence[Mode],
    batch: int,
    repetitions: int,
    budget: float = float("inf"),
    after_round: Callable[[], None] = lambda: None,
) -> list[Row]:
    """One row for each variant and mode at one batch size; a row with `skipped` where the memory is too small."""
    jobs = {
        (name, mode): ImageJob(subject, variant, mode, batch)
        for name, variant in variants.items()
        for mode in modes
    }
    fitting = {key: job for key, job in jobs.items() if fits(job.warm_up, subject.device)}
    after_round()
    seconds = interleaved(fitting, repetitions, subject.device, budget, after_round)
    rows: list[Row] = []
    for (name, mode), job in jobs.items():
        row = _named(name, job)
        if (name, mode) in fitting:
            taken = np.array(seconds[name, mode]) / batch
            row |= _timed(taken) | {"shares": job.shares()} | _bounds(job)
            if job.mode == "eager":
                row["head_evaluations"] = job.head_evaluations()
        else:
            row |= {"skipped": f"a batch of {batch} does not fit in memory"}
        rows.append(row)
    return rows


def _named(name: str, job: ImageJob) -> Row:
    variant, device = job.variant, job.subject.device
    cuda = device.type == "cuda"
    return {
        "model": variant.model,
        "variant": name,
        "device": torch.cuda.get_device_name(device) if cuda else device.type,
        "clock_mhz": _clock(device) if cuda else None,
        "threads": torch.get_num_threads(),
        "dtype": str(job.subject.dtype).removeprefix("torch."),
        "batch": job.batch,
        "ar_steps": variant.ar_steps,
        "diffusion_steps": variant.diffusion_steps,
        "guidance": variant.guidance,
        "mode": job.mode,
        "peak_memory_mb": job.peak_memory_mb,
    }


def _timed(seconds: np.ndarray) -> Row:
    low, high = median_interval(seconds) if len(seconds) > 1 else (None, None)
    return {"seconds_per_image": float(np.median(seconds)), "ci_low": low, "ci_high": high, "n": len(seconds)}


def _bounds(job: ImageJob) -> Row:
    """What the sampler of this row computes for an image, and the least time of it on this machine."""
    subject, variant = job.subject, job.variant
    sampling = Sampling(variant.ar_steps, variant.diffusion_steps, variant.guidance)
    count = reference if job.mode == "eager" else optimised
    works: Works = {**count(subject.model.config, sampling), "tokenizer": subject.decoding}
    return {
        "flops": sum(work.flops for work in works.values()),
        "flops_by_component": {name: work.flops for name, work in works.items()},
        "floor_seconds": floor_seconds(works, subject.machine, job.batch, subject.dtype.itemsize),
        "floor_source": subject.machine.source,
    }


def _clock(device: torch.device) -> int | None:
    """MHz of the processor just now; None where NVIDIA's management library is missing or will not say."""
    with contextlib.suppress(Exception):  # its errors are of its own kind
        return torch.cuda.clock_rate(device)
    return None
