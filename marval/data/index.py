"""The index of a training set, `train.parquet`: one row for each image file, with what it is used for or why it is not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from marval.artifacts import reading, replacing
from marval.data.collection import Listing
from marval.data.verification import Checked
from marval.errors import UserError

HELD_OUT = "held out"  # in the place of a problem


@dataclass(frozen=True)
class Index:
    """Columns of one length, in the order of the listing."""

    places: Sequence[str]  # path below the folder, or SPLIT:ROW
    labels: np.ndarray  # int64
    sha256: Sequence[str | None]  # of the file
    half: np.ndarray  # int8: 0 for the training reward, 1 for the evaluation networks, -1 for neither
    problems: list[str | None]  # why an image is not trained on; None where it is

    @property
    def used(self) -> np.ndarray:
        """Rows that are trained on."""
        return np.flatnonzero([problem is None for problem in self.problems])

    @property
    def held_out(self) -> np.ndarray:
        """Rows that are kept for evaluation."""
        return np.flatnonzero([problem == HELD_OUT for problem in self.problems])


def numbered(values: Sequence[str | None] | Sequence[bytes] | pa.Array) -> np.ndarray:
    """Equal values get equal numbers, 0, 1, ... in order of first appearance; int64 `(n,)`."""
    return pa.array(values).dictionary_encode().indices.to_numpy().astype(np.int64)


def make_index(
    train: Listing, checked: Sequence[Checked], names: Sequence[str], hold_out: int, seed: int
) -> Index:
    """Mark damaged images, copies of an image in its class, and `hold_out` images a class; halve the rest by class.

    Random choices follow from the seed. UserError where a class would keep no image.
    """
    sha256, problems = [c.sha256 for c in checked], [c.problem for c in checked]
    _mark_copies(train, sha256, problems)
    good = np.array([problem is None for problem in problems])
    content = numbered([digest or f"row {row}" for row, digest in enumerate(sha256)])
    if hold_out:
        # not an image that also has another label: what is held out must not be trained on
        single = np.bincount(content[good], minlength=content.max() + 1)[content] == 1
        chosen = choose(train.labels, good & single, hold_out, seed)
        for row in chosen:
            problems[row] = HELD_OUT
        good[chosen] = False
    _require_all_classes(names, train.labels[good])
    half = np.full(len(content), -1, dtype=np.int8)
    half[good] = _halves(train.labels[good], content[good], seed)
    return Index(train.places, train.labels, sha256, half, problems)


def _mark_copies(train: Listing, sha256: Sequence[str | None], problems: list[str | None]) -> None:
    first: dict[tuple[str | None, int], int] = {}
    for row, (digest, label) in enumerate(zip(sha256, train.labels.tolist(), strict=True)):
        if problems[row] is None and (original := first.setdefault((digest, label), row)) != row:
            problems[row] = f"copy of {train.places[original]}"


def choose(labels: np.ndarray, eligible: np.ndarray, count: int, seed: int) -> np.ndarray:
    """`count` eligible rows of each class, or all where there are fewer; ascending."""
    random = np.random.default_rng([seed, 0])
    chosen = [random.permutation(rows[eligible[rows]])[:count] for rows in _by_class(labels)]
    return np.sort(np.concatenate(chosen))


def _require_all_classes(names: Sequence[str], labels: np.ndarray) -> None:
    missing = np.setdiff1d(np.arange(len(names)), labels)
    if missing.size:
        raise UserError(
            f"class {missing[0]} ({names[missing[0]]}) has no image left to train on: give it more images, or lower "
            "prepare.held_out where those are taken out of the training images"
        )


def _halves(labels: np.ndarray, content: np.ndarray, seed: int) -> np.ndarray:
    """Half of each class; an image that has several labels is in the same half under all of them."""
    random = np.random.default_rng([seed, 1])
    half = np.ones(len(labels), dtype=np.int8)
    for rows in _by_class(labels):
        half[random.permutation(rows)[: (len(rows) + 1) // 2]] = 0
    _, first, which = np.unique(content, return_index=True, return_inverse=True)
    return half[first][which]


def _by_class(labels: np.ndarray) -> list[np.ndarray]:
    order = np.argsort(labels, kind="stable")
    return np.split(order, np.searchsorted(labels[order], np.arange(1, labels.max(initial=0) + 1)))


def write_index(path: Path, index: Index) -> None:
    """The parquet file; half is null where an image is not trained on."""
    table = pa.table(
        {
            "image": pa.array(index.places, pa.string()),
            "label": pa.array(index.labels),
            "sha256": pa.array(index.sha256, pa.string()),
            "half": pa.array(index.half, mask=index.half < 0),
            "problem": pa.array(index.problems, pa.string()),
        }
    )
    with replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def read_used(path: Path) -> pa.Table:
    """The rows that are trained on."""
    with reading(path):
        table = pq.read_table(path)
        return table.filter(pc.is_null(table["problem"])).combine_chunks()
