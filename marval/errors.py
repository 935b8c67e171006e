"""What is said to the user: the error that is a message, what is missing on this machine, and what may have been meant."""

from __future__ import annotations

import difflib
import errno
import reprlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class UserError(ValueError):
    """One line for the person at the terminal: what is wrong, where (file, key, value), and what to do.

    The command line prints it without a traceback and exits with status 2. Everything else that is raised is our own bug.
    """


FILE_ERRORS = {
    errno.ENOSPC: "the disk is full: free some space and run the same command again",
    errno.EDQUOT: "the disk quota is used up: free some space and run the same command again",
    errno.EACCES: "permission denied: make it readable and its folder writable for this user",
    errno.EPERM: "not permitted: make it readable and its folder writable for this user",
    errno.EROFS: "the file system is read-only: work in a writable copy",
    errno.ENOTDIR: "something that is not a folder is in the way: move it away",
    errno.EISDIR: "a folder is in the way: move it away",
    errno.EEXIST: "something that is not a folder is in the way: move it away",
}


def of_files(error: OSError) -> str | None:
    """The line for an error of the file system that a person can mend; None for any other."""
    if error.errno not in FILE_ERRORS:
        return None
    return f"{error.filename or Path.cwd()}: {FILE_ERRORS[error.errno]}"


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory was too short, on a GPU or on the host; torch says the latter in a RuntimeError like any other."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, RuntimeError) and "allocate memory" in str(error)


@dataclass(frozen=True)
class Missing:
    """One file or folder that is not there."""

    path: Path  # where it belongs
    what: str
    source: str  # its size, where known, and from where
    remedy: str


_SHORT = reprlib.Repr()
_SHORT.maxlevel, _SHORT.maxdict, _SHORT.maxlist = 2, 3, 5
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 60


def shown(value: Any) -> str:
    """A value that somebody wrote, for a message: its repr, shortened where it is long or deep."""
    return _SHORT.repr(value)


def nearest(name: str, valid: Collection[str]) -> str:
    """The end of a message about an unknown name: the nearest valid one, or all of them."""
    match = difflib.get_close_matches(name, valid, n=1)
    return f"; did you mean {match[0]!r}?" if match else f"; valid: {', '.join(sorted(valid))}"
