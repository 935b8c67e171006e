"""What is said to the user: the error that is a message, what is missing on this machine, and what may have been meant."""

from __future__ import annotations

import difflib
from collections.abc import Collection
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


def nearest(name: str, valid: Collection[str]) -> str:
    """The end of a message about an unknown name: the nearest valid one, or all of them."""
    match = difflib.get_close_matches(name, valid, n=1)
    return f"; did you mean {match[0]!r}?" if match else f"; valid: {', '.join(sorted(valid))}"
