"""Whole images against the clock: every variant at every batch size, by the reference sampler and by the optimised one.

`eager` is the reference, step by step as it is written; `optimised` gives the same tokens. Both end in pixels; drawing the noise
is not part of either. Where the preset's precision is bf16 the reference runs under autocast. Time does not depend on weights.

On a CPU, which others may use too, all samplers of a batch size take turns. On a GPU one at a time is built, timed and let go:
the graphs and activations of several do not fit beside each other.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from marval.costs.counting import Work
from marval.costs.image import Sampling, Works, decoding, optimised, reference
from marval.models.mar import MAR
from marval.models.tokenizer import Tokenizer
from marval.sampling.chain_lengths import noisy_steps
from marval.sampling.draws import draw_images
from marval.sampling.graphs import Direct
from marval.sampling.images import DECODE_BATCH, balanced_labels, token_samplers
from marval.sampling.optimised import OptimisedSampler
from marval.sampling.reference import sample_tokens
from marval.sampling.settings import SampleConfig, SampleVariant
from marval.timing.clock import added, fits, interleaved, median_interval, watched_method
from marval.timing.floors import Machine, floor_seconds, machine_of
from marval.timing.settings import Mode
from marval.timing.table import Row

MEGABYTE, GIGABYTE = 1 << 20, 1e9
K = TypeVar("K")
CHOICE = "all images that one is chosen from are drawn and decoded; the reward's own time is not counted"


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
        steps = noisy_steps(variant)
        drawn = self.batch * variant.best_of
        draws = draw_images(0, range(drawn), size.side, size.channels, steps, variant.order)
        self.draws = draws.to(subject.device)
        self.labels = torch.from_numpy(balanced_labels(np.arange(drawn), size.classes)).to(subject.device)
        self.inner = token_samplers(subject.sample, variant, subject.one_step_t, subject.device)
        if self.mode == "optimised":
            ar_steps, guidance = variant.ar_steps, variant.guidance
            self.fast = OptimisedSampler(subject.model, self.inner, ar_steps, guidance, subject.dtype)

    def release(self) -> None:
        """Let go of everything that `build` made, graphs and their memory included."""
        for name in ("draws", "labels", "inner", "fast"):
            self.__dict__.pop(name, None)
        if self.subject.device.type == "cuda":
            gc.collect()  # a sampler that failed is held by the frames of its error
            torch.cuda.empty_cache()

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
        """Share of a run's time in the transformer's encoder and decoder, the head, and the tokenizer's decoder.

        Without graphs, which hold several components each.
        """
        device, totals = self.subject.device, dict[str, float]()
        with added(totals, "whole", device), contextlib.ExitStack() as stack:
            for owner, method, name in self._components():
                stack.enter_context(watched_method(owner, method, name, totals, device))
            if self.mode == "eager":
                tokens = self._plain()
            else:
                with torch.inference_mode():
                    first = self.fast.first_conditions(self.labels)
                    tokens = self.fast.generate(Direct(), first, self.labels, self.draws)
            with added(totals, "tokenizer", device):
                self._pixels(tokens)
        whole = totals.pop("whole")
        return {name: round(seconds / whole, 4) for name, seconds in totals.items()}

    def _components(self) -> list[tuple[object, str, str]]:
        """Owner, method and name of what computes each."""
        if self.mode == "eager":
            model = self.subject.model
            return [
                (model, "encode", "encoder"),
                (model, "decode", "decoder"),
                (model.head, "forward", "head"),
            ]
        fast = self.fast
        return [
            (fast.backbone, "encode", "encoder"),
            (fast.backbone, "decode", "decoder"),
            (fast, "tokens", "head"),
        ]


def measure(
    subject: Subject,
    variants: Mapping[str, SampleVariant],
    modes: Sequence[Mode],
    batch: int,
    repetitions: int,
    budget: float = float("inf"),
    after_run: Callable[[], None] = lambda: None,
) -> list[Row]:
    """One row for each variant and mode at one batch size; a row with `skipped` where the memory is too small for it alone.

    budget: seconds for all; `after_run` is called after every run, the first and untimed one of each included.
    """
    together = turns([(name, mode) for name in variants for mode in modes], subject.device)
    rows: list[Row] = []
    for group in together:
        jobs = {key: ImageJob(subject, variants[key[0]], key[1], batch) for key in group}
        rows += _measured(subject, jobs, repetitions, budget / len(together), after_run)
    return rows


def turns(names: Sequence[K], device: torch.device) -> list[list[K]]:
    """What is in memory together and takes turns."""
    return [list(names)] if device.type == "cpu" else [[name] for name in names]


def _measured(
    subject: Subject,
    jobs: dict[tuple[str, Mode], ImageJob],
    repetitions: int,
    budget: float,
    after_run: Callable[[], None],
) -> list[Row]:
    """Of samplers that take turns; at the end none of them holds anything."""
    fitting: dict[tuple[str, Mode], ImageJob] = {}
    skipped: dict[tuple[str, Mode], str] = {}
    for key, job in jobs.items():
        room = _room(subject.device)
        if fits(job.warm_up, subject.device):
            fitting[key] = job
        else:
            job.release()
            skipped[key] = f"a batch of {job.batch} does not fit in memory{room}"
        after_run()
    seconds = interleaved(fitting, repetitions, subject.device, budget, after_run)
    rows: list[Row] = []
    for key, job in jobs.items():
        row = _named(key[0], job)
        if key in fitting:
            row |= _timed(np.array(seconds[key]) / job.batch) | {"shares": job.shares()} | _bounds(job)
            if job.mode == "eager":
                row["head_evaluations"] = job.head_evaluations()
        else:
            row |= {"skipped": skipped[key]}
        rows.append(row)
    for job in jobs.values():
        job.release()
    return rows


def _room(device: torch.device) -> str:
    """What a GPU had left for a sampler, for who wonders whether others were on it."""
    if device.type != "cuda":
        return ""
    free, total = torch.cuda.mem_get_info(device)
    return f": {free / GIGABYTE:.0f} of {total / GIGABYTE:.0f} GB were free"


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
        **({"note": f"{name}: {CHOICE}"} if variant.best_of > 1 else {}),
    }


def _timed(seconds: np.ndarray) -> Row:
    low, high = median_interval(seconds) if len(seconds) > 1 else (None, None)
    return {"seconds_per_image": float(np.median(seconds)), "ci_low": low, "ci_high": high, "n": len(seconds)}


def _bounds(job: ImageJob) -> Row:
    """What the sampler of this row computes for an image, and the least time of it on this machine."""
    subject, variant = job.subject, job.variant
    sampling = Sampling.of(variant, variant.ar_steps)
    count = reference if job.mode == "eager" else optimised
    each: Works = {**count(subject.model.config, sampling), "tokenizer": subject.decoding}
    works = {name: Work(work.flops * variant.best_of, work.weights) for name, work in each.items()}
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
