"""Reading and writing result files: always whole (written beside, then renamed), and with an error that names the file."""

from __future__ import annotations

import csv
import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from marval.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor, nn

FULL_BYTES = 1 << 16


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` to write to; renamed to it at the end, removed if anything goes wrong."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except Exception as error:
        # libraries report a full disk in words of their own
        if shutil.disk_usage(path.parent).free < FULL_BYTES:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def sha256(path: Path) -> str:
    """Of a file's content."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


SEAL = ".sha256"


def seal(path: Path) -> None:
    """Note beside a finished file what is in it, for `is_sealed`."""
    with replacing(path.with_name(path.name + SEAL)) as temporary:
        temporary.write_text(sha256(path))


def is_sealed(path: Path) -> bool:
    """Whether a file that outlived an interruption is finished and unchanged: what is kept in `runs/` may lie there for weeks."""
    try:
        return sha256(path) == path.with_name(path.name + SEAL).read_text()
    except (OSError, UnicodeDecodeError):
        return False


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn whatever goes wrong inside into one line about `path`."""
    if not path.is_file():
        raise UserError(
            f"{path} is missing: run the stage that makes it, for example with `snakemake {path}`"
        )
    try:
        yield
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"{path} is damaged ({reason}): delete it and run `snakemake` to make it again"
        ) from error


def write_json(path: Path, content: Any) -> None:
    """Indented JSON with a final newline."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n")


def read_json(path: Path) -> Any:
    with reading(path):
        return json.loads(path.read_text())


LARGE_BYTES = 1 << 30


def write_npz(path: Path, **arrays: np.ndarray) -> None:
    """An npz, compressed unless it is large: readers map those into memory. Equal arrays give equal bytes."""
    large = sum(array.nbytes for array in arrays.values()) > LARGE_BYTES
    write = np.savez if large else np.savez_compressed
    with replacing(path) as temporary, temporary.open("wb") as stream:
        write(stream, allow_pickle=False, **arrays)


def read_npz(path: Path) -> dict[str, np.ndarray]:
    with reading(path), np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """A safetensors file."""
    from safetensors.torch import save_file

    with replacing(path) as temporary:
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, temporary)


def read_tensors(path: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    with reading(path):
        return load_file(path)


def load_weights(module: nn.Module, path: Path) -> None:
    """Strictly load a safetensors file into `module`."""
    tensors = read_tensors(path)
    with reading(path):
        module.load_state_dict(tensors, strict=True)


def write_csv(path: Path, rows: Iterable[Mapping[str, float]]) -> None:
    """One line for each row; the columns are all keys in order of first appearance, absent values stay empty."""
    rows = list(rows)
    columns = list(dict.fromkeys(key for row in rows for key in row))
    with replacing(path) as temporary, temporary.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(
            {k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()} for row in rows
        )
