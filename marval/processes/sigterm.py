"""SIGTERM, which a cluster sends before it kills, taken as Ctrl-C: who works leaves in order and notes what is to be noted."""

from __future__ import annotations

import signal
from types import FrameType


def take_as_ctrl_c() -> None:
    """From now on SIGTERM is a KeyboardInterrupt."""
    signal.signal(signal.SIGTERM, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Once: Slurm sends it again a moment later, and a client of the warm process hands it on, while this one is leaving."""
    for again in (signal.SIGTERM, signal.SIGINT):
        signal.signal(again, signal.SIG_IGN)
    raise KeyboardInterrupt
