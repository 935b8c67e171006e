"""Training state that survives an interruption. It lies outside a stage's outputs, which runners delete on failure."""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from marval.artifacts import replacing, sha256

SAVE_SECONDS = 10.0
COST_FACTOR = (
    5.0  # per second that saving takes: saving then takes at most 1/50 of the time, however large the model
)
KEPT = 2  # states: where the last one is damaged, the one before it is taken
SET_ASIDE = ".damaged"
SHOWN = 32  # digits of a digest in a name


class CheckpointStore:
    """The last states in a folder that belongs to one computation (the folder's name carries its fingerprint).

    The name of a file is NAME-COUNT-DIGEST.pt: the digest is that of its content, so that the two appear together.
    """

    def __init__(self, folder: Path, name: str = "state") -> None:
        self.folder, self.name = folder, name
        self._saved = time.monotonic()
        self._cost = 0.0

    def save_if_due(self, state: Callable[[], dict[str, Any]]) -> None:
        """Save when `SAVE_SECONDS` have passed since the last time, or longer where saving itself is slow."""
        begun = time.monotonic()
        if begun - self._saved < SAVE_SECONDS * (1 + COST_FACTOR * self._cost):
            return
        files = self._files()
        unfinished = self.folder / f"{self.name}.pt"
        with replacing(unfinished) as temporary:
            torch.save(state(), temporary)
        count = _count(files[-1]) + 1 if files else 1
        unfinished.rename(self.folder / f"{self.name}-{count:06}-{sha256(unfinished)[:SHOWN]}.pt")
        for file in files[: 1 - KEPT]:
            file.unlink()
        self._saved = time.monotonic()
        self._cost = self._saved - begun

    def load(self) -> dict[str, Any] | None:
        """The last state that is whole, or None; damaged ones are named and set aside."""
        for file in reversed(self._files()):
            with contextlib.suppress(FileNotFoundError):  # another process of the stage has just set it aside
                if sha256(file)[:SHOWN] == file.stem.rsplit("-", 1)[1]:
                    # mapped: eight processes of one machine would else hold eight copies, of 17 GB each for MAR-H
                    state = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
                    logging.getLogger("marval").info("resuming from %s at step %s", file, state["step"])
                    return state
                file.rename(file.with_name(file.name + SET_ASIDE))
                message = f"{file} is damaged: set aside as {file.name}{SET_ASIDE}, going on from what was saved before it"
                logging.getLogger("marval").warning(message)
                sys.stderr.write(f"marval: {message}\n")
        return None

    def _files(self) -> list[Path]:
        """The states, oldest first."""
        return sorted(self.folder.glob(f"{self.name}-*-*.pt"), key=_count)


def _count(file: Path) -> int:
    return int(file.stem.rsplit("-", 2)[1])
