"""Everything around a stage's work: its settings and files, threads, log, lock, checkpoints and run record."""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from marval import weights
from marval.artifacts import read_json, reading, write_json
from marval.errors import UserError
from marval.pipeline.files import Files, settings_path
from marval.pipeline.graph import Stage, active_graph
from marval.pipeline.hashes import digest
from marval.pipeline.leftovers import LOCK_NAME, RUNS_FOLDER, beside
from marval.pipeline.preset import LatencyPreset, Preset, load_preset, resolved_settings, stage_threads
from marval.pipeline.reading import preset_path
from marval.pipeline.record import record_of
from marval.pipeline.resources import resources_of
from marval.pipeline.state import fingerprint
from marval.processes.group import here
from marval.processes.nvml import energy_joules
from marval.weights import WEIGHTS

BY_DVC = "DVC_STAGE"  # set by DVC, which has run the stage `settings` before


@dataclass(frozen=True)
class Context:
    """What one run of one stage works with."""

    stage: Stage
    settings: dict[str, Any]  # the resolved ones
    checkpoints: Path  # folder of this very computation: settings, inputs and code are in its name

    @cached_property
    def preset(self) -> Preset:
        """The settings of a reproduction."""
        return Preset.model_validate(self.settings)

    @cached_property
    def latency(self) -> LatencyPreset:
        """The settings of a preset that only times."""
        return LatencyPreset.model_validate(self.settings)

    @property
    def label(self) -> str:
        """For progress bars: stage and key, as DVC prints them."""
        return self.stage.address

    @property
    def files(self) -> Files:
        """Of its preset."""
        return Files(str(self.stage.preset))

    def output(self, path: str | Path) -> Path:
        """Where to write a result, given as it lies in the preset's folder; it must be an output that dvc.yaml declares."""
        whole = path if isinstance(path, Path) else self.files.root / path
        if whole not in self.stage.outputs:
            raise LookupError(f"dvc.yaml does not declare {whole} as an output of {self.stage.address}")
        return whole


@contextlib.contextmanager
def stage_run(stage: Stage) -> Iterator[Context]:
    """Set up a stage; after it has worked, check its outputs, write its record and drop its checkpoints."""
    _require(stage)
    _require_recorded(stage)
    settings = _settings(stage)
    if BY_DVC not in os.environ:
        _check_settings(stage, settings)
    folder = RUNS_FOLDER / str(stage.preset) / stage.address
    context = Context(stage, settings, folder / fingerprint(stage, _parameter_files(stage, settings)))
    _set_arithmetic(settings, stage.kind)
    _say_without_gpu(stage)
    _say_of_others(stage, context.checkpoints)
    with _exclusive(folder), _logging(stage):
        started, clock = datetime.now(UTC), time.monotonic()
        earlier, energy = _seconds_before(context.checkpoints), energy_joules()
        try:
            yield context
        finally:
            if context.checkpoints.is_dir():
                write_json(context.checkpoints / "seconds.json", earlier + time.monotonic() - clock)
        seconds = earlier + time.monotonic() - clock
        record = record_of(stage, _parameter_files(stage, settings), started, seconds)
        if energy is not None and (now := energy_joules()) is not None:
            # of this run alone, where an interrupted one went before
            record["energy_joules"] = round(now - energy)
        if stage.record is not None:
            write_json(stage.record, record)
        shutil.rmtree(context.checkpoints, ignore_errors=True)


@contextlib.contextmanager
def stage_share(stage: Stage, checkpoints: Path | None) -> Iterator[Context]:
    """The same in one of several processes, beside the one that locks, records and cleans up; that one may have named the
    folder of checkpoints."""
    settings = _settings(stage)
    named = fingerprint(stage, _parameter_files(stage, settings)) if checkpoints is None else ""
    folder = checkpoints or RUNS_FOLDER / str(stage.preset) / stage.address / named
    _set_arithmetic(settings, stage.kind)
    with _logging(stage) if here().is_first else contextlib.nullcontext():
        yield Context(stage, settings, folder)


def _settings(stage: Stage) -> dict[str, Any]:
    """As the stage `settings` has resolved them, which is what DVC compares; nothing for a stage that reads none."""
    return read_json(settings_path(str(stage.preset))) if stage.parameters else {}


def _check_settings(stage: Stage, settings: dict[str, Any]) -> None:
    """Where somebody runs a stage by hand: UserError for settings that the preset does not have any more."""
    name = str(stage.preset)
    if settings and settings != resolved_settings(load_preset(name)):
        raise UserError(
            f"{settings_path(name)} is not what {preset_path(name)} says now: run `python -m marval settings {name}`, then again"
        )


def _parameter_files(stage: Stage, settings: dict[str, Any]) -> dict[Path, Any]:
    return {settings_path(str(stage.preset)): settings}


def _set_arithmetic(settings: dict[str, Any], kind: str) -> None:
    """CPU runs repeat bit for bit. On GPUs some networks have operations that cannot, and the others would pay for it."""
    on_cpu = here().device.type == "cpu"  # asked first: connecting with other processes sets threads too
    torch.set_num_threads(stage_threads(settings, kind))
    if on_cpu:
        # the other spelling imports the compiler, which takes seconds
        torch.set_deterministic_debug_mode("error")


def _say_without_gpu(stage: Stage) -> None:
    """Where a preset asks for GPUs and there is none: it is run all the same, somebody may want to try it."""
    asked = resources_of(load_preset(str(stage.preset)).resources, stage.kind).gpus if stage.preset else None
    if asked and here().device.type == "cpu":
        sys.stderr.write(
            f"{stage.address}: its preset asks for {asked} GPU{'s' if asked > 1 else ''} and none is visible: on the CPU it may "
            f"take very long (`python -m marval plan {stage.preset}` says how much work it is)\n"
        )


def _say_of_others(stage: Stage, checkpoints: Path) -> None:
    """Where a stage begins anew beside checkpoints that it does not take: taking a change back may save days."""
    if others := beside(checkpoints):
        sys.stderr.write(
            f"{stage.address}: begins anew: its settings, inputs or code are not those of the checkpoints in "
            f"{', '.join(map(str, others))} (`python -m marval checkpoints` lists such and removes them)\n"
        )


def _require(stage: Stage) -> None:
    weights.require(sorted({path.parts[1] for path in stage.data if path.parts[0] == str(WEIGHTS)}))
    wanted = [*stage.data, *stage.parameters, *([stage.code] if stage.code else [])]
    missing = [str(path) for path in wanted if not path.exists()]
    if missing:
        raise UserError(
            f"{stage.address}: {missing[0]} is missing"
            + (f" (and {len(missing) - 1} more)" if missing[1:] else "")
            + f": run `dvc repro {stage.address}`, which makes what it needs"
        )


def _require_recorded(stage: Stage) -> None:
    """UserError for an input that is not what the stage that makes it has recorded: damaged, or of another run."""
    stages = active_graph()
    for path, address in stages.inputs(stage).items():
        record = stages.stages[address].record
        if record is None or path == record:
            continue
        with reading(record):
            recorded = json.loads(record.read_text())["outputs"][str(path)]
        if (found := digest(path)) != recorded:
            raise UserError(
                f"{path} is not what {address} made (md5 {found}, {record} has {recorded}): run `snakemake`, which restores it "
                "or makes it again"
            )


@contextlib.contextmanager
def _exclusive(folder: Path) -> Iterator[None]:
    """One process for each stage: one that was left behind by a killed runner is waited for, not raced."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK_NAME).open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.stderr.write(f"{folder.name}: another process is at work on it; waiting for it to finish\n")
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _logging(stage: Stage) -> Iterator[None]:
    path = Path("logs") / f"{stage.address.replace('@', '/')}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger = logging.getLogger("marval")
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    logger.info("%s (process %s)", stage.command, os.getpid())
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
    try:
        return float(json.loads((folder / "seconds.json").read_text()))
    except (OSError, ValueError, TypeError):  # none, or damaged: the time alone is lost
        return 0.0
