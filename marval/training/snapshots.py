"""The weights of a model at a few moments of its training, for whoever wants to look at it later."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from torch import nn

from marval.artifacts import SEAL, is_sealed, seal, write_tensors
from marval.errors import UserError


def snapshot_steps(steps: int, parts: int, log_every: int) -> set[int]:
    """Numbers of steps done at which a snapshot is taken: the beginning of each of `parts` equal parts, rounded to log rows.

    The end has none: it is the trained model itself.
    """
    return {round(k * steps / parts / log_every) * log_every for k in range(parts)} - {steps}


class Snapshots:
    """Kept beside the checkpoint, so that a resumed run has those from before the interruption."""

    def __init__(self, folder: Path, model: nn.Module, steps: set[int]) -> None:
        self.folder, self.model, self.steps = folder / "snapshots", model, steps

    def observe(self, step: int) -> None:
        """Take a snapshot if it is time."""
        if step in self.steps:
            path = self.folder / f"step-{step:08d}.safetensors"
            write_tensors(path, dict(self.model.state_dict()))
            seal(path)

    def publish(self, folder: Path) -> None:
        """Copy all to the folder of results, which appears whole. UserError if one is damaged: its moment is past."""
        for path in snapshot_files(self.folder).values():
            if not is_sealed(path):
                raise UserError(
                    f"{path} is damaged: `rm -r {self.folder.parent}` and run the same command again, which trains anew"
                )
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as beside:
            whole = shutil.copytree(
                self.folder, Path(beside) / folder.name, ignore=shutil.ignore_patterns(f"*{SEAL}")
            )
            shutil.rmtree(folder, ignore_errors=True)
            whole.rename(folder)


def snapshot_files(folder: Path) -> dict[int, Path]:
    """Steps done -> file, ascending."""
    return {int(path.stem.removeprefix("step-")): path for path in sorted(folder.glob("step-*.safetensors"))}
