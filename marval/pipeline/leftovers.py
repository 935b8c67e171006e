"""What lies in `runs/`: checkpoints that a stage would go on from, and those that no stage takes up.

A folder of checkpoints bears the fingerprint of its computation. After a change of settings, inputs or code the stage begins
anew, in another folder; the old one, perhaps three days of training, stays until somebody removes it or takes the change back.
"""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from marval.errors import UserError
from marval.pipeline.files import settings_path
from marval.pipeline.graph import Graph, Stage, graph_of
from marval.pipeline.preset import load_preset, resolved_settings
from marval.pipeline.reading import preset_path
from marval.pipeline.state import fingerprint

RUNS_FOLDER = Path("runs")
LOCK_NAME = "lock"
GB = 1e9


@dataclass(frozen=True)
class Leftover:
    """The checkpoints of one computation that has not ended."""

    folder: Path
    why: str  # no stage takes them up; empty where one does, or may

    @property
    def bytes(self) -> int:
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())


def leftovers(runs: Path = RUNS_FOLDER) -> list[Leftover]:
    """All checkpoints that are kept, by folder."""
    return [found for preset in _folders(runs) for found in _of_preset(preset)]


def beside(folder: Path) -> list[Path]:
    """Checkpoints of a stage's other computations, where `folder` is not there: what a start from nothing leaves behind."""
    return [] if folder.is_dir() else _folders(folder.parent)


def report(remove: bool, runs: Path = RUNS_FOLDER) -> Iterator[str]:
    """A line for each; with `remove` those that no stage takes up are deleted, one after the other."""
    orphaned = 0
    for found in leftovers(runs):
        orphaned += bool(found.why)
        size = f"{found.folder}  {found.bytes / GB:,.1f} GB"
        if not found.why:
            yield f"{size}  kept: its stage goes on from there"
        elif not remove:
            yield f"{size}  orphaned: {found.why}"
        elif _is_in_use(found.folder.parent):
            yield f"{size}  orphaned, and not removed: its stage is at work"
        else:
            shutil.rmtree(found.folder)
            yield f"{size}  removed: {found.why}"
    if orphaned and not remove:
        yield f"{orphaned} orphaned: `python -m marval checkpoints --remove` deletes them"


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*") if path.is_dir())


def _of_preset(folder: Path) -> Iterator[Leftover]:
    """A preset with a mistake, which is about to be mended, keeps what it has."""
    whole = [path for stage in _folders(folder) for path in _folders(stage)]
    try:
        preset_path(folder.name)
    except UserError:
        yield from (Leftover(path, "there is no such preset any more") for path in whole)
        return
    try:
        settings = {settings_path(folder.name): resolved_settings(load_preset(folder.name))}
    except UserError:
        yield from (Leftover(path, "") for path in whole)
        return
    graph = graph_of(folder.name)
    yield from (Leftover(path, _why(graph, path.parent.name, path.name, settings)) for path in whole)


def _why(graph: Graph, address: str, name: str, settings: Mapping[Path, object]) -> str:
    """Empty too where an input is gone, so that the fingerprint cannot be told."""
    stage: Stage | None = graph.stages.get(address)
    if stage is None:
        return "the preset has no such stage any more"
    if not all(path.exists() for path in stage.data) or name == fingerprint(stage, settings):
        return ""
    return "its settings, inputs or code have changed"


def _is_in_use(stage: Path) -> bool:
    with (stage / LOCK_NAME).open("a") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
