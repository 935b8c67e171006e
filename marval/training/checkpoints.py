"""Training state that survives an interruption. It lies outside a stage's outputs, which runners delete on failure."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from marval.artifacts import replacing

SAVE_SECONDS = 10.0
COST_FACTOR = (
    5.0  # per second that saving takes: saving then takes at most 1/50 of the time, however large the model
)


class CheckpointStore:
    """One state file in a folder that belongs to one computation (the folder's name carries its fingerprint)."""

    def __init__(self, folder: Path, name: str = "state") -> None:
        self.path = folder / f"{name}.pt"
        self._saved = time.monotonic()
        self._cost = 0.0

    def save_if_due(self, state: Callable[[], dict[str, Any]]) -> None:
        """Save when `SAVE_SECONDS` have passed since the last time, or longer where saving itself is slow."""
        begun = time.monotonic()
        if begun - self._saved < SAVE_SECONDS * (1 + COST_FACTOR * self._cost):
            return
        with replacing(self.path) as temporary:
            torch.save(state(), temporary)
        self._saved = time.monotonic()
        self._cost = self._saved - begun

    def load(self) -> dict[str, Any] | None:
        """The saved state, or None; a file that cannot be read is removed, and training starts over."""
        if not self.path.is_file():
            return None
        try:
            # mapped: eight processes of one machine would else hold eight copies, of 17 GB each for MAR-H
            state = torch.load(self.path, map_location="cpu", weights_only=True, mmap=True)
        except Exception as error:
            logging.getLogger("marval").warning("%s is damaged (%s); starting over", self.path, error)
            self.path.unlink(missing_ok=True)
            return None
        logging.getLogger("marval").info("resuming from %s at step %s", self.path, state.get("step"))
        return state
