"""Content hashes as DVC records them. Those of large files are remembered, by size and time of change; where DVC has hashed the
same file, its own is taken: the latents of a full run are 84 GB.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
from pathlib import Path
from typing import Any

from marval.artifacts import write_json

LARGE_BYTES = 1 << 26
REMEMBERED = Path("runs/hashes.json")
PASSING = (".md", ".pyc", ".part", ".part.etag", ".refused", ".snakemake_timestamp")  # as in .dvcignore


def files_in(folder: Path) -> list[Path]:
    """The files that make up a folder's content for DVC, sorted."""
    return sorted(p for p in folder.rglob("*") if p.is_file() and not p.name.endswith(PASSING))


def digest(path: Path) -> str:
    """md5 of a file, or of the list of a folder's files with theirs, ending in `.dir`."""
    if path.is_dir():
        entries = {"/".join(file.relative_to(path).parts): digest(file) for file in files_in(path)}
        listed = [{"md5": md5, "relpath": name} for name, md5 in sorted(entries.items())]
        return hashlib.md5(json.dumps(listed, sort_keys=True).encode()).hexdigest() + ".dir"
    found = path.stat()
    if found.st_size < LARGE_BYTES:
        return hashlib.md5(path.read_bytes()).hexdigest()
    return _of_large(path, f"{found.st_size}:{found.st_mtime_ns}:{found.st_ino}")


def _of_large(path: Path, state: str) -> str:
    known = _remembered()
    key = str(path.absolute())
    if known.get(key, ["", ""])[0] != state:
        md5 = _of_dvc(path) or read(path)
        known[key] = [state, md5, _check(key, state, md5)]
        write_json(REMEMBERED, known)
    return known[key][1]


def read(path: Path) -> str:
    """md5 of a file's content, whatever anybody remembers of it."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "md5").hexdigest()


def _check(key: str, state: str, md5: str) -> str:
    """Of one entry: a damaged one would have a sound file refused, again and again."""
    return hashlib.md5(f"{key}:{state}:{md5}".encode()).hexdigest()[:8]


def _of_dvc(path: Path) -> str | None:
    """What DVC remembers of a file that has not changed since; it hashes the inputs of a stage before that starts."""
    # a folder without DVC, another version of its memory: the file is read
    with contextlib.suppress(Exception):
        repository = _dvc()
        _, found = repository.state.get(os.path.abspath(path), repository.fs)
        return found.value if found is not None and found.name == "md5" else None
    return None


@functools.cache
def _dvc() -> Any:
    from dvc.repo import Repo  # takes a second, and large files are rare

    return Repo()


@functools.cache
def _remembered() -> dict[str, list[str]]:
    try:
        known = json.loads(REMEMBERED.read_text())
    except (OSError, ValueError):
        return {}
    if not isinstance(known, dict):
        return {}
    return {
        key: entry
        for key, entry in known.items()
        if isinstance(entry, list) and len(entry) == 3 and entry[2] == _check(key, entry[0], entry[1])
    }
