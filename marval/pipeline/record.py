"""The record of a run: what made the outputs, enough to find, repeat and cost it."""

from __future__ import annotations

import contextlib
import os
import platform
import resource
import subprocess
from collections.abc import Mapping
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from marval.pipeline.graph import Stage
from marval.pipeline.hashes import digest
from marval.pipeline.items import PARAMS, RUNS
from marval.pipeline.state import LOCK, parameters

VERSIONS = (
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
# tracked files that runs may change and that change no result: DVC's memory, and which presets are active
NO_CODE = (LOCK, PARAMS, RUNS)


def record_of(
    stage: Stage, settings: Mapping[Path, Any], started: datetime, seconds: float
) -> dict[str, Any]:
    """After a run: `settings` are the contents of the files that parameters come from, `seconds` of all its parts."""
    return {
        "stage": stage.address,
        "preset": stage.preset,
        "command": stage.command,
        "started": started.isoformat(timespec="seconds"),
        "wall_seconds": round(seconds, 2),
        "peak_memory_mb": _peak_memory_mb(),
        "threads": torch.get_num_threads(),
        "git_commit": _git("rev-parse", "HEAD"),
        "git_dirty": bool(
            _git("status", "--porcelain", "--untracked-files=no", "--", ".", *(f":!{p}" for p in NO_CODE))
        ),
        "machine": machine(),
        "versions": versions(),
        "parameters": parameters(stage, settings),
        "inputs": {str(path): digest(path) for path in stage.data},
        "outputs": {str(path): digest(path) for path in stage.outputs if path != stage.record},
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
    found = {"python": platform.python_version()}
    for name in VERSIONS:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _git(*arguments: str) -> str:
    answer = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    return answer.stdout.strip()
