"""Everything around a stage's work: where its files are, its settings, threads, log, lock, checkpoints and run record."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import logging
import os
import platform
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from marval import weights
from marval.artifacts import digest, files_in, write_json
from marval.energy import gpu_energy_joules
from marval.errors import UserError
from marval.launch import here
from marval.stages.declared import Declaration, declaration
from marval.stages.preset import AnyPreset, Preset, load_preset, preset_path, read_yaml, stage_threads
from marval.weights import WEIGHTS

RECORDED_VERSIONS = (
    "torch",
    "numpy",
    "scipy",
    "diffusers",
    "torch-fidelity",
    "open-clip-torch",
    "image-reward",
    "dvc",
    "snakemake",
)


INPUTS = ("results", str(WEIGHTS))  # dependencies that are data; the others are code


@dataclass(frozen=True)
class Context:
    """One run of one stage."""

    settings: AnyPreset
    declared: Declaration
    variant: str | None
    seed: int | None
    checkpoints: Path  # folder of this very computation: settings, inputs and code are in its name

    @property
    def preset(self) -> Preset:
        """The settings of a reproduction."""
        assert isinstance(self.settings, Preset)
        return self.settings

    @property
    def label(self) -> str:
        """For progress bars: stage and key, as DVC prints them."""
        return self.declared.name

    @property
    def results(self) -> Path:
        return Path("results") / self.settings.name

    def model_path(self, model: str, seed: int) -> Path:
        """Weights of a trained model."""
        return self.results / "models" / model / f"seed-{seed}.safetensors"

    def output(self, suffix: str) -> Path:
        """The one declared output whose path ends so; the stage need not repeat where its files go."""
        (path,) = [p for p in self.declared.outputs if str(p).endswith(suffix) and p.parent.name != "records"]
        return path


@contextlib.contextmanager
def stage_run(stage: str, preset_name: str, variant: str | None, seed: int | None) -> Iterator[Context]:
    """Set up a stage; after it has worked, check its outputs, write its record and drop its checkpoints."""
    preset = load_preset(preset_name)
    declared = declaration(stage, preset_name, variant, seed)
    _require(declared)
    folder = Path("runs") / preset_name / declared.name
    fingerprint = _fingerprint(declared)
    context = Context(preset, declared, variant, seed, folder / fingerprint)
    _set_arithmetic(preset, stage)
    with _exclusive(folder), _logging(declared):
        started, clock = datetime.now(UTC), time.monotonic()
        earlier, energy = _seconds_before(context.checkpoints), gpu_energy_joules()
        try:
            yield context
        finally:
            if context.checkpoints.is_dir():
                write_json(context.checkpoints / "seconds.json", earlier + time.monotonic() - clock)
        record = _record(context, started, earlier + time.monotonic() - clock)
        if energy is not None and (now := gpu_energy_joules()) is not None:
            record["energy_joules"] = round(
                now - energy
            )  # of this run alone, where an interrupted one went before
        write_json(_record_path(declared), record)
        shutil.rmtree(context.checkpoints, ignore_errors=True)


@contextlib.contextmanager
def stage_share(
    stage: str, preset_name: str, variant: str | None, seed: int | None, checkpoints: Path | None
) -> Iterator[Context]:
    """The same in one of several processes, beside the one that locks, records and cleans up; that one may have told it
    where the checkpoints are."""
    preset = load_preset(preset_name)
    declared = declaration(stage, preset_name, variant, seed)
    folder = checkpoints or Path("runs") / preset_name / declared.name / _fingerprint(declared)
    _set_arithmetic(preset, stage)
    with _logging(declared) if here().is_first else contextlib.nullcontext():
        yield Context(preset, declared, variant, seed, folder)


def _set_arithmetic(preset: AnyPreset, stage: str) -> None:
    """CPU runs repeat bit for bit. On GPUs some networks have operations that cannot, and the others would pay for it."""
    on_cpu = here().device.type == "cpu"  # asked first: connecting with other processes sets threads too
    torch.set_num_threads(stage_threads(preset, stage))
    if on_cpu:
        # the other spelling imports the compiler, which takes seconds
        torch.set_deterministic_debug_mode("error")


def _require(declared: Declaration) -> None:
    weights.require(sorted({p.parts[1] for p in declared.dependencies if p.parts[0] == str(WEIGHTS)}))
    missing = [str(p) for p in declared.dependencies if not p.exists()]
    if missing:
        raise UserError(
            f"{declared.name}: {missing[0]} is missing"
            + (f" (and {len(missing) - 1} more)" if missing[1:] else "")
            + f": run `dvc repro {declared.name}`, which makes what it needs"
        )


def _fingerprint(declared: Declaration) -> str:
    """Changes with any setting, input or line of code that the stage declares: a checkpoint is never resumed by others."""
    state = hashlib.sha256(declared.command.encode())
    for file, keys in declared.parameters.items():
        content = read_yaml(file)
        values = {key: _lookup(content, key) for key in keys}
        state.update(json.dumps(values, sort_keys=True).encode())
    for dependency in declared.dependencies:
        for file in files_in(dependency) if dependency.is_dir() else [dependency]:
            state.update(f"{file}:{digest(file)}".encode())
    return state.hexdigest()[:16]


def _lookup(content: Any, key: str) -> Any:
    for part in key.split("."):
        content = content[part]
    return content


@contextlib.contextmanager
def _exclusive(folder: Path) -> Iterator[None]:
    """One process for each stage: one that was left behind by a killed runner is waited for, not raced."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.stderr.write(f"{folder.name}: another process is at work on it; waiting for it to finish\n")
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _logging(declared: Declaration) -> Iterator[None]:
    path = Path("logs") / f"{declared.name.replace('@', '/')}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger = logging.getLogger("marval")
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    logger.info("%s (process %s)", declared.command, os.getpid())
    try:
        yield
        logger.info("done")
    except BaseException as error:
        logger.error("%s: %s", type(error).__name__, error)
        raise
    finally:
        logger.removeHandler(handler)
        handler.close()


def _seconds_before(folder: Path) -> float:
    """Seconds that interrupted runs of the same computation have already taken."""
    path = folder / "seconds.json"
    return json.loads(path.read_text()) if path.is_file() else 0.0


def _record_path(declared: Declaration) -> Path:
    (path,) = [p for p in declared.outputs if p.parent.name == "records"]
    return path


def _record(context: Context, started: datetime, seconds: float) -> dict[str, Any]:
    """What made the outputs: enough to find, repeat and cost the run."""
    declared = context.declared
    parameters = {
        key: _lookup(read_yaml(file), key) for file, keys in declared.parameters.items() for key in keys
    }
    return {
        "stage": declared.name,
        "preset": context.settings.name,
        "command": declared.command,
        "started": started.isoformat(timespec="seconds"),
        "wall_seconds": round(seconds, 2),
        "peak_memory_mb": _peak_memory_mb(),
        "threads": torch.get_num_threads(),
        "git_commit": _git("rev-parse", "HEAD"),
        "git_dirty": bool(_git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!dvc.lock")),
        "machine": machine(),
        "versions": versions(),
        "parameters": {str(preset_path(context.settings.name)): parameters},
        "inputs": {str(p): digest(p) for p in declared.dependencies if p.parts[0] in INPUTS},
        "outputs": {str(p): digest(p) for p in declared.outputs if p.parent.name != "records"},
    }


def _peak_memory_mb() -> int:
    """Of this process, or of the largest one that it has started."""
    peaks = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return round(max(peaks) / 1024)


def machine() -> dict[str, Any]:
    """The hardware that a figure was measured on."""
    cpu = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        names = [
            line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")
        ]
        cpu = names[0].split(":", 1)[1].strip() if names else cpu
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {"cpu": cpu, "cores": os.cpu_count(), "gpu": gpu, "platform": platform.platform()}


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that compute."""
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": platform.python_version()}
    for name in RECORDED_VERSIONS:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _git(*arguments: str) -> str:
    answer = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    return answer.stdout.strip()
