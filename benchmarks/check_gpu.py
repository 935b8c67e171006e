"""What only a GPU can tell, in one go: `make check-gpu`. It runs, it is right, what it takes, how fast it is.

Wants torch, triton, numpy, pydantic, pyyaml, safetensors and tqdm alone: no network, no data, no weights. On one card it takes
less than 9 minutes. `--reduced` goes through the same on a CPU with tiny networks in seconds, for tests. Exit status 1 if
anything is wrong; times and memory are reported, not judged, but for the bounds that a training step has to keep.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from marval.costs.image import Sampling, optimised
from marval.costs.kernels import image_launches
from marval.masking.law import MaskingLaw
from marval.masking.settings import OrderLaw
from marval.methods.distillation import DistillMethod
from marval.methods.reinforcement import ReinforceMethod
from marval.methods.settings import (
    DistillTraining,
    DistillVariant,
    ReinforceTraining,
    ReinforceVariant,
    TeacherTraining,
)
from marval.methods.teacher import TeacherMethod
from marval.models.mar import MAR
from marval.models.settings import MARConfig
from marval.noise.schedule import NoiseSchedule
from marval.processes import nvml
from marval.sampling.draws import Draws, draw_images
from marval.sampling.graphs import Direct
from marval.sampling.optimised import OptimisedSampler
from marval.sampling.reference import sample_tokens
from marval.sampling.rows import FusedRows, difference, rows_for
from marval.sampling.token_samplers import DiffusionChain, OneStep, TokenSampler
from marval.timing.clock import fits, interleaved
from marval.timing.floors import floor_seconds, machine_of
from marval.training.checkpoints import CheckpointStore
from marval.training.loop import Method, fit
from marval.training.settings import OptimiserConfig, Scale

ONE_STEP_T = 900
GB = 1e9
DIGITS = MARConfig(
    side=4, channels=4, classes=10, width=64, encoder_blocks=2, decoder_blocks=2, heads=4, buffer_tokens=4,
    head={"width": 128, "blocks": 3},
)  # fmt: skip
MAR_B = MARConfig(
    side=16, channels=16, classes=1000, width=768, encoder_blocks=12, decoder_blocks=12, heads=12,
    head={"width": 1024, "blocks": 6},
)  # fmt: skip
# of the norm, against the reference sampler in float32
TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.1}
OPTIMISER = OptimiserConfig(lr=1e-5, clip=1.0)
FORK = """
import os, torch
torch.cuda.is_available(), torch.cuda.device_count()
pid = os.fork()
if pid == 0:
    if torch.cuda.is_available():
        torch.zeros(1, device="cuda") + 1
    os._exit(0)
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


@dataclass(frozen=True)
class Size:
    """How large a check is."""

    models: dict[str, MARConfig]
    steps: int  # diffusion steps of a teacher that is compared
    batches: tuple[int, ...]
    timed: Sampling
    repetitions: int
    micro_batch: int
    memory_gb: dict[str, float]  # what a training step of the last model may take


FULL = Size(
    {"digits": DIGITS, "MAR-B": MAR_B}, 20, (1, 256), Sampling.even(64, 100, 2.9), 5, 64,
    {"teacher": 31, "distill": 28, "reinforce": 20},
)  # fmt: skip
REDUCED = Size(
    {"tiny": DIGITS.model_copy(update={"side": 3, "width": 16, "encoder_blocks": 1, "decoder_blocks": 1})}, 3, (1, 3),
    Sampling.even(3, 4, 2.9), 1, 2, {"teacher": 1, "distill": 1, "reinforce": 1},
)  # fmt: skip


@dataclass
class Table:
    """Lines as they come."""

    rows: list[dict[str, Any]] = field(default_factory=list)

    def add(self, check: str, right: bool | None, **figures: Any) -> None:
        """`right`: None for what is only reported."""
        self.rows.append({"check": check, "right": right, **figures})
        verdict = {True: "ok", False: "WRONG", None: ""}[right]
        words = ", ".join(f"{name} {value}" for name, value in figures.items())
        sys.stdout.write(f"{check:<44}{verdict:<7}{words}\n")
        sys.stdout.flush()

    def run(self, check: str, work: Callable[[], dict[str, Any]]) -> None:
        """A check that is wrong where it raises; what it returns is reported."""
        try:
            self.add(check, True, **work())
        except Exception as error:  # the others are still worth knowing
            self.add(check, False, error=f"{type(error).__name__}: {str(error)[:200].splitlines()[0]}")


def main(arguments: list[str] | None = None) -> int:
    """Prints the table and writes the JSON; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.check_gpu", description=__doc__)
    parser.add_argument("--reduced", action="store_true", help="tiny networks, also without a GPU")
    parser.add_argument("--out", type=Path, default=Path("check-gpu.json"), help="(default: %(default)s)")
    options = parser.parse_args(arguments)
    if not options.reduced and not torch.cuda.is_available():
        sys.stderr.write(
            "check-gpu: error: no GPU that torch can use: run it where one is, or give --reduced\n"
        )
        return 2
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    size, table, started = REDUCED if options.reduced else FULL, Table(), time.monotonic()
    torch.manual_seed(0)
    table.add("machine", None, **machine(device))
    table.run("a fork can use the device", forked)
    table.run("fused kernels", lambda: fused(device))
    table.run("one rank of the process group", lambda: one_rank(device))
    for name, config in size.models.items():
        for dtype in TOLERANCE:
            for kind, (inner, guidance) in samplers(size, device).items():
                label = f"graphs = eager = reference: {name} {kind} {_short(dtype)}"
                table.run(label, lambda c=config, i=inner, g=guidance, d=dtype: equal(c, i, g, d, device))
    largest = list(size.models.values())[-1]
    for kind in size.memory_gb:
        table.run(f"training step: {kind}", lambda kind=kind: trained(kind, largest, size, device))
    for kind in ("student", "teacher"):
        table.run(f"kernels of an image: {kind}", lambda kind=kind: counted(kind, largest, size))
        for batch in size.batches:
            table.run(
                f"seconds: {kind}, batch {batch}", lambda k=kind, b=batch: timed(k, b, largest, size, device)
            )
    wrong = [row["check"] for row in table.rows if row["right"] is False]
    table.add("all", not wrong, seconds=round(time.monotonic() - started))
    options.out.write_text(json.dumps(table.rows, indent=2) + "\n")
    return 1 if wrong else 0


def machine(device: torch.device) -> dict[str, Any]:
    """What was measured on."""
    cuda = device.type == "cuda"
    told = nvml.driver() if cuda else None
    found: dict[str, Any] = {
        "device": torch.cuda.get_device_name() if cuda else platform.machine(),
        "driver": told[0] if told else None,
        "python": platform.python_version(),
    }
    for package in ("torch", "triton", "numpy"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found


def forked() -> dict[str, Any]:
    """As the warm process does it: torch has been asked for GPUs, then the process forks."""
    environment = {**os.environ, "PYTORCH_NVML_BASED_CUDA_CHECK": "1"}
    subprocess.run([sys.executable, "-W", "ignore", "-c", FORK], env=environment, check=True)
    return {}


def fused(device: torch.device) -> dict[str, Any]:
    """Whether the sampler takes Triton's kernels between matrix products, and how far they are from torch's own operations."""
    used = isinstance(rows_for(device, torch.float32), FusedRows)
    _require(used or device.type == "cpu", "Triton does not work here, or gives other numbers")
    return {"used": used, "apart": f"{difference(device):.1e}" if used else None}


def one_rank(device: torch.device) -> dict[str, Any]:
    """The library that gradients travel by."""
    backend = "nccl" if device.type == "cuda" else "gloo"
    with tempfile.TemporaryDirectory() as folder:
        store = torch.distributed.FileStore(f"{folder}/store", 1)
        torch.distributed.init_process_group(backend, store=store, rank=0, world_size=1)
        try:
            summed = torch.arange(4.0, device=device)
            torch.distributed.all_reduce(summed)
            _require(torch.equal(summed.cpu(), torch.arange(4.0)), "a sum over one rank is not the summand")
        finally:
            torch.distributed.destroy_process_group()
    return {"backend": backend}


def samplers(size: Size, device: torch.device) -> dict[str, tuple[TokenSampler, float]]:
    """With their guidance."""
    chain = DiffusionChain(NoiseSchedule.respaced(size.steps, 950, device))
    return {"student": (OneStep.at(ONE_STEP_T, device), 1.0), "teacher": (chain, size.timed.guidance)}


def equal(
    config: MARConfig, inner: TokenSampler, guidance: float, dtype: torch.dtype, device: torch.device
) -> dict[str, Any]:
    """Three batches: the first call records graphs, later ones must not see its values."""
    model, ar_steps, batch = random_model(config, device), min(8, config.tokens), 4
    fast = OptimisedSampler(model, inner, ar_steps, guidance, dtype)
    apart = [0.0, 0.0]
    for first in (0, batch, 2 * batch):
        labels, draws = some(config, range(first, first + batch), _drawn(inner), device)
        graphs = fast(labels, draws)
        with torch.inference_mode():
            eager = fast.generate(Direct(), fast.first_conditions(labels), labels, draws)
        with torch.no_grad():
            reference = sample_tokens(model, inner, labels, draws, ar_steps, guidance)
        for i, (ours, theirs) in enumerate(((graphs, eager), (eager, reference))):
            apart[i] = max(apart[i], ((ours - theirs).norm() / theirs.norm()).item())
    _require(apart[0] <= TOLERANCE[dtype] / 100, f"graphs differ from eager by {apart[0]:.2g}")
    _require(apart[1] <= TOLERANCE[dtype], f"optimised differs from the reference by {apart[1]:.2g}")
    return {"graphs": f"{apart[0]:.1e}", "reference": f"{apart[1]:.1e}"}


def random_model(config: MARConfig, device: torch.device) -> MAR:
    """No layer is left at its initial zeros."""
    torch.manual_seed(0)
    with device:
        model = MAR(config).eval().requires_grad_(False)
        for parameter in model.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    return model


def some(config: MARConfig, indices: range, steps: int, device: torch.device) -> tuple[Tensor, Draws]:
    """Labels and randomness of some images."""
    draws = draw_images(0, indices, config.side, config.channels, steps, OrderLaw.RANDOM)
    labels = torch.arange(indices.start, indices.stop, device=device) % config.classes
    return labels, draws.to(device)


def _drawn(inner: TokenSampler) -> int:
    return len(inner.schedule) if isinstance(inner, DiffusionChain) else 1


class _Latents:
    """Random ones."""

    def __init__(self, config: MARConfig) -> None:
        shape = (8, 2 * config.channels, config.side, config.side)
        self.stored, self.labels = torch.randn(shape).abs(), torch.arange(8)

    def __len__(self) -> int:
        return len(self.labels)

    def read_ahead(self, index: Tensor) -> None:
        """They are in memory."""

    def moments(self, index: Tensor) -> Tensor:
        return self.stored[index]


class _Decoder(nn.Module):
    """Stands for the tokenizer, which needs another package."""

    def decode(self, tokens: Tensor) -> Tensor:
        side = round(tokens.shape[1] ** 0.5)
        return tokens[..., :3].transpose(1, 2).unflatten(2, (side, side)).repeat_interleave(2, -1)


class _Brightness:
    def score(self, images: Tensor, labels: Tensor) -> Tensor:
        return images.mean(dim=(1, 2, 3))


def trained(kind: str, config: MARConfig, size: Size, device: torch.device) -> dict[str, Any]:
    """Two steps of two pieces each, in bfloat16: figures are finite and the memory is as stated."""
    small = max(1, size.micro_batch // 8)
    micro = small if kind == "reinforce" else size.micro_batch
    scale = Scale(micro_batch=micro, precision="bf16", activation_checkpointing=kind == "reinforce")
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    method = build(kind, config, scale, 2 * micro, device)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        rows = fit(method, 2, 0, CheckpointStore(Path(folder)), kind, log_every=1, scale=scale)
    peak = torch.cuda.max_memory_allocated() / GB if device.type == "cuda" else 0.0
    _require(all(value == value for row in rows for value in row.values()), "a figure is not a number")
    _require(peak <= size.memory_gb[kind], f"{peak:.1f} GB, more than the stated {size.memory_gb[kind]}")
    return {"peak_gb": round(peak, 1), "seconds": round(time.monotonic() - started, 1), "images": 4 * micro}


def build(kind: str, config: MARConfig, scale: Scale, batch: int, device: torch.device) -> Method:
    """One method with random weights."""
    data: Any = _Latents(config)
    common: dict[str, Any] = {"steps": 2, "batch": batch, "scale": scale}
    if kind == "teacher":
        training = TeacherTraining(model=config, masking=MaskingLaw(), optimiser=OPTIMISER, ema=0.9, **common)
        return TeacherMethod(training, data, device)
    model = random_model(config, device).requires_grad_(True)
    if kind == "distill":
        distillation = DistillTraining(
            masking=MaskingLaw(), student=OPTIMISER, auxiliary=OPTIMISER, ema=0.9, t_low=20, t_high=980,
            weight_limit=3.0, **common,
        )  # fmt: skip
        return DistillMethod(distillation, DistillVariant(guidance=1.2), model, data, ONE_STEP_T)
    reward = ReinforceTraining(optimiser=OPTIMISER, batch=batch, ar_steps=min(64, config.tokens), scale=scale)
    variant = ReinforceVariant(start="marval", steps=2)
    tokenizer: Any = _Decoder()
    return ReinforceMethod(reward, variant, model, tokenizer, _Brightness(), ONE_STEP_T)


def counted(kind: str, config: MARConfig, size: Size) -> dict[str, Any]:
    """On the meta device."""
    found = image_launches(config, *_way(kind, size, torch.device("cpu")))
    return {"in_graphs": found.in_graphs, "replays": found.replays, "eager": found.eager}


def _way(kind: str, size: Size, device: torch.device) -> tuple[TokenSampler, int, float]:
    """Inner sampler, AR steps, guidance."""
    timed = size.timed
    if kind == "student":
        return OneStep.at(ONE_STEP_T, device), timed.ar_steps, 1.0
    return (
        DiffusionChain(NoiseSchedule.respaced(timed.steps[0], 999, device)),
        timed.ar_steps,
        timed.guidance,
    )


def timed(kind: str, batch: int, config: MARConfig, size: Size, device: torch.device) -> dict[str, Any]:
    """Tokens of a batch, without the tokenizer; beside the least time of this machine."""
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    model, (inner, ar_steps, guidance) = random_model(config, device), _way(kind, size, device)
    labels, draws = some(config, range(batch), _drawn(inner), device)
    fast = OptimisedSampler(model, inner, ar_steps, guidance, dtype)
    if not fits(lambda: fast(labels, draws), device):
        return {"skipped": "does not fit"}
    seconds = min(interleaved({"it": lambda: fast(labels, draws)}, size.repetitions, device)["it"]) / batch
    steps = size.timed.steps[0] if kind == "teacher" else 1
    weights = sum(p.numel() for p in model.parameters()) * dtype.itemsize
    floor = floor_seconds(
        optimised(config, Sampling.even(ar_steps, steps, guidance)),
        machine_of(device, dtype, weights),
        batch,
        dtype.itemsize,
    )
    return {"ms_per_image": round(1e3 * seconds, 2), "times_the_floor": round(seconds / floor, 1)}


def _require(condition: bool, otherwise: str) -> None:
    if not condition:
        raise ArithmeticError(otherwise)


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


if __name__ == "__main__":
    sys.exit(main())
