"""What is said to the user: the error that is a message, and what is missing on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


class UserError(ValueError):
    """One line for the person at the terminal: what is wrong, where (file, key, value), and what to do.

    The command line prints it without a traceback and exits with status 2. Everything else that is raised is our own bug.
    """


@dataclass(frozen=True)
class Missing:
    """One file or folder that is not there."""

    path: Path  # where it belongs
    what: str
    source: str  # its size, where known, and from where
    remedy: str
