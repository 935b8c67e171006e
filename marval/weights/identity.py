"""Whether a file is the one that it should be: by its published sha256, or by the one that it had when it was first seen."""

from __future__ import annotations

import fcntl
import hashlib
import os
from pathlib import Path
from typing import Any

from marval.artifacts import read_json, write_json
from marval.errors import UserError
from marval.weights.registry import REGISTRY, WEIGHTS, Wanted

PINS = "pinned.json"
BLOCK = 1 << 22


class RefusedError(UserError):
    """A file that is not what it should be; it has been moved aside."""


def verify(item: Wanted) -> str:
    """The sha256 of an existing file, hashed once for each version of it; RefusedError if it is another one."""
    key = f"{item.name}/{item.file.path}"
    state = item.path.stat()
    version = {"bytes": state.st_size, "modified_ns": state.st_mtime_ns}
    pin = read_pins().get(key, {})
    published = item.file.sha256
    if version.items() <= pin.items() and published in (None, pin["sha256"]):
        return pin["sha256"]
    expected, source = (published, REGISTRY) if published else (pin.get("sha256"), WEIGHTS / PINS)
    found = file_sha256(item.path)
    if expected not in (None, found):
        raise _refused(item.path, found, f"{expected} of {source}")
    _pin(key, {"sha256": found, **version})
    return found


def file_sha256(path: Path) -> str:
    """Of any size of file."""
    state = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(BLOCK):
            state.update(block)
    return state.hexdigest()


def read_pins() -> dict[str, dict[str, Any]]:
    """What is known of the files: path inside `weights/` -> sha256, bytes, modified_ns."""
    path = WEIGHTS / PINS
    return read_json(path) if path.is_file() else {}


def _pin(key: str, entry: dict[str, Any]) -> None:
    with (WEIGHTS / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several stages may see files for the first time
        write_json(WEIGHTS / PINS, {**read_pins(), key: entry})


def _refused(path: Path, found: str, expected: str) -> RefusedError:
    aside = path.with_name(f"{path.name}.refused")
    os.replace(path, aside)
    return RefusedError(
        f"{path} is not the file that it should be and was moved to {aside.name}: its sha256 is {found}, not {expected}"
    )
