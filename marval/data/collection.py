"""What a collection of image files looks like to the code that checks, splits, reads and encodes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np


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
