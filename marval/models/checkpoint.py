"""Published PyTorch checkpoints: unpickled without running code, and matched to our networks name by name."""

from __future__ import annotations

import argparse
import pickle
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from marval.artifacts import replacing
from marval.errors import UserError

SHOWN = 3  # names in a message


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The dictionary in a checkpoint, on the CPU; large tensors stay in the file until they are used.

    Only tensors and plain values are unpickled, and `argparse.Namespace`, in which MAR's training script keeps its
    arguments. UserError if the file is missing, is damaged, or holds anything that would run code.
    """
    if not path.is_file():
        raise UserError(f"{path} is missing: fetch it by `make weights PRESET=...`, or put it there")
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except OSError:
        raise
    except Exception as error:  # a damaged pickle can fail in any way
        raise UserError(_refusal(path, error)) from error
    if not isinstance(content, dict):
        raise UserError(f"{path} holds a {type(content).__name__}, not a checkpoint: fetch it again")
    return content


def write_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """The counterpart of `read_checkpoint`."""
    with replacing(path) as temporary:
        torch.save(content, temporary)


def state_in(path: Path, content: dict[str, Any], key: str) -> dict[str, Tensor]:
    """The state dict under `key`."""
    state = content.get(key)
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise UserError(
            f"{path} has no weights under {key!r} (it has {sorted(map(str, content))}): fetch it again"
        )
    return state


def match(path: Path, expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> None:
    """UserError unless both have the same names and shapes; it names the first few that differ."""
    for what, names in (
        ("lacks", expected.keys() - found.keys()),
        ("has unexpected", found.keys() - expected.keys()),
    ):
        if names:
            raise UserError(f"{path} {what} {_first(names)}: it is of another architecture than the preset's")
    for name, tensor in expected.items():
        if tensor.shape != found[name].shape:
            raise UserError(
                f"{path}: {name} is {tuple(found[name].shape)}, not {tuple(tensor.shape)}: "
                "it is of another size than the preset's"
            )


def _first(names: set[str]) -> str:
    more = len(names) - SHOWN
    return ", ".join(sorted(names)[:SHOWN]) + (f" and {more} more" if more > 0 else "")


def _refusal(path: Path, error: Exception) -> str:
    culprit = re.search(r"GLOBAL ([\w.]+)|(?:class|type) (\S+)", str(error))
    if isinstance(error, pickle.UnpicklingError) and culprit:
        return (
            f"{path} is refused, for it would run code ({culprit[1] or culprit[2]}) when it is read: "
            "get it from where it was published"
        )
    return f"{path} is damaged or no weights file ({type(error).__name__}): delete it and fetch it again"
