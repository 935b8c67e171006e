"""SIGTERM, which a cluster sends before it kills, taken as Ctrl-C: who works leaves in order and notes what is to be noted."""

from __future__ import annotations

import signal
from types import FrameType

ENDING = (signal.SIGINT, signal.SIGTERM)


def take_as_ctrl_c() -> None:
    """From now on SIGTERM is a KeyboardInterrupt."""
    signal.signal(signal.SIGTERM, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> None:
    take_no_more()
    raise KeyboardInterrupt


def take_no_more() -> None:
    """After one SIGTERM: while all are leaving, Slurm sends it again, and a client of the warm process hands it on."""
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)
