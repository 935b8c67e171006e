"""Finding weights files and knowing them by their hash."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from metrics.errors import UserError, reason

BLOCK = 1 << 22
RECORD = ".sha256.json"  # beside the weights: the hash, with size and time of the files that it was taken of


def require(path: str | Path, what: str, source: str) -> Path:
    """The path, if there is something; otherwise one line that says where to get it."""
    path = Path(path)
    if not path.exists():
        raise UserError(f"{path}: {what} not found: get it from {source} and put it there, or give its path")
    return path


@contextmanager
def opening(path: Path, source: str) -> Iterator[None]:
    """Turn whatever goes wrong while weights are read into one line about them."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # of the libraries and of those below them: many kinds
        raise UserError(
            f"{path}: not readable as weights ({type(error).__name__}: {reason(error)}): fetch it again from {source}"
        ) from error


def weights_sha256(path: Path) -> str:
    """sha256 of a file, or of a folder's .safetensors, .bin and .pt files together (by sorted name).

    Hashing gigabytes takes a while. It is done once: while size and modification time of every file stay, the record beside
    the weights answers.
    """
    files = _files(path)
    state = {file.name: [file.stat().st_size, file.stat().st_mtime_ns] for file in files}
    record = path.with_name(path.name + RECORD)
    known = _read(record)
    if known.get("files") == state and isinstance(known.get("sha256"), str):
        return known["sha256"]
    digest = _digest(files)
    try:
        record.write_text(json.dumps({"sha256": digest, "files": state}) + "\n")
    except OSError:
        return digest  # a folder that cannot be written to: hashed again next time
    return digest


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return [file for file in sorted(path.iterdir()) if file.suffix in (".safetensors", ".bin", ".pt")]


def _digest(files: list[Path]) -> str:
    digest = sha256()
    for file in files:
        with file.open("rb") as stream:
            while block := stream.read(BLOCK):
                digest.update(block)
    return digest.hexdigest()


def _read(record: Path) -> dict[str, Any]:
    try:
        known = json.loads(record.read_text())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}
