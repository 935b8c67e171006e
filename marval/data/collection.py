"""A collection of image files: how its files are listed and read, wherever they are."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from marval.data.decoding import pixels
from marval.errors import UserError


class Reader(Protocol):
    """Reads image files; can be sent to other processes, and used by several threads."""

    def read(self, place: str) -> bytes:
        """The file, as it is; OSError where there is none."""
        ...

    def state(self, place: str) -> str:
        """Something that changes when the file does, and costs less than reading it."""
        ...


@dataclass(frozen=True)
class Listing:
    """Image files in a fixed order."""

    places: Sequence[str]  # path below the folder, or SPLIT:ROW of a data set
    labels: np.ndarray  # int64 (n,)


@dataclass(frozen=True)
class Collection:
    """The image files of a data set."""

    names: list[str]  # of the entities, by class
    reader: Reader
    train: Listing
    held_out: Listing | None  # None: to be taken out of `train`
    note: str | None = None  # what people should know of it


def read_images(reader: Reader, places: Sequence[str], sha256: Sequence[str | None], size: int) -> np.ndarray:
    """Centre crops uint8 `(m, size, size, 3)`; UserError where a file is no longer the one that was checked."""

    def one(place: str, expected: str | None) -> np.ndarray:
        try:
            content = reader.read(place)
        except OSError as error:
            raise UserError(
                f"{place} of the training images cannot be read: {error.strerror or error}"
            ) from error
        if hashlib.sha256(content).hexdigest() != expected:
            raise UserError(
                f"{place} of the training images has changed since the stage prepare: run it again"
            )
        return pixels(content, size)

    # decoding leaves the interpreter free for the other threads
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as threads:
        return np.stack(list(threads.map(one, places, sha256)))
