"""Cached latents: posterior moments of every training image, from which a fresh sample is drawn each time.

A folder of Arrow files, one for each few thousand images, that is read through memory maps: a batch touches its own rows only. It
has the layout of `datasets`, so that `datasets.load_from_disk` opens it too; here pyarrow alone reads it. The files hold the
moments as the autoencoder gives them; `normaliser.json` beside the folder brings them to zero mean and unit deviation.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from marval.artifacts import read_json, replacing, write_json
from marval.errors import UserError

STATE, INFO = "state.json", "dataset_info.json"  # names that `datasets` gives them


@dataclass(frozen=True)
class LatentRows:
    """What one file holds, a row for each image or mirror image."""

    moments: np.ndarray  # float32 (n, 2C, h, w), as the autoencoder gives them: mean, then standard deviation
    labels: np.ndarray  # int64 (n,)
    images: np.ndarray  # int64 (n,), the row of the image in the training set
    mirrored: np.ndarray  # bool (n,)


def write_shard(path: Path, rows: LatentRows, notes: Mapping[str, str]) -> None:
    """One Arrow file; `notes` go into the metadata of its schema."""
    moments: pa.Array = pa.array(np.ascontiguousarray(rows.moments, dtype=np.float32).reshape(-1))
    for length in reversed(rows.moments.shape[1:]):
        moments = pa.FixedSizeListArray.from_arrays(moments, length)
    columns = {
        "moments": moments,
        "label": pa.array(rows.labels),
        "image": pa.array(rows.images),
        "mirrored": pa.array(rows.mirrored),
    }
    batch = pa.RecordBatch.from_pydict(columns, metadata=dict(notes))
    with replacing(path) as temporary, pa.ipc.new_stream(str(temporary), batch.schema) as writer:
        writer.write_batch(batch)


def read_notes(path: Path) -> dict[str, str]:
    """The metadata of a shard; its rows are not read."""
    with _sound(path), pa.memory_map(str(path)) as source:
        metadata = pa.ipc.open_stream(source).schema.metadata or {}
        return {key.decode(): value.decode() for key, value in metadata.items()}


def write_index(folder: Path, names: Sequence[str]) -> None:
    """The two files that make a folder of shards, in this order, one data set."""
    state = hashlib.sha256()
    for name in names:
        state.update(f"{name}:{sorted(read_notes(folder / name).items())}".encode())
    # the fields that `datasets` asks for; its own name for what the rows were computed from is the fingerprint
    content: dict[str, Any] = {
        "_data_files": [{"filename": name} for name in names],
        "_fingerprint": state.hexdigest()[:16],
        "_format_columns": None,
        "_format_kwargs": {},
        "_format_type": None,
        "_output_all_columns": False,
        "_split": None,
    }
    write_json(folder / INFO, {"description": "moments of latents, not normalised"})
    write_json(folder / STATE, content)


@dataclass(frozen=True)
class LatentBatches:
    """Latents that are normalised as they are read."""

    shards: Sequence[np.ndarray]  # float32 (n_s, 2C, h, w) each
    labels: Tensor  # int64 (n,)
    mean: Tensor  # of the channels, (C,)
    std: Tensor
    _coming: dict[bytes, Future[Tensor]] = field(default_factory=dict, repr=False)  # by their rows

    @classmethod
    def of(cls, moments: Tensor, labels: Tensor) -> LatentBatches:
        """From moments `(n, 2C, h, w)` of normalised latents in memory."""
        channels = moments.shape[1] // 2
        return cls([moments.numpy()], labels, torch.zeros(channels), torch.ones(channels))

    @classmethod
    def load(cls, folder: Path) -> LatentBatches:
        """Map the files of a folder that `encode` wrote; UserError names what is missing or damaged."""
        statistics = read_json(folder.parent / "normaliser.json")
        state = read_json(folder / STATE)
        tables = [_map_shard(folder / entry["filename"]) for entry in state["_data_files"]]
        labels = torch.from_numpy(np.concatenate([table["label"].to_numpy() for table in tables]))
        shards = [_view(table["moments"].chunk(0)) for table in tables]
        return cls(shards, labels, torch.tensor(statistics["mean"]), torch.tensor(statistics["std"]))

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def _starts(self) -> np.ndarray:
        return np.cumsum([0, *map(len, self.shards)])

    @cached_property
    def _reader(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(1, "latents")

    def read_ahead(self, index: Tensor) -> None:
        """Begin to read, beside the caller's work, rows that `moments` will be asked for: a cold or distant disk takes long."""
        self._coming[index.numpy().tobytes()] = self._reader.submit(self._moments, index)

    def moments(self, index: Tensor) -> Tensor:
        """Moments `(m, 2C, h, w)` of normalised latents; index `(m,)` in 0 ... n - 1, in any order, with repeats."""
        coming = self._coming.pop(index.numpy().tobytes(), None)
        return self._moments(index) if coming is None else coming.result()

    def _moments(self, index: Tensor) -> Tensor:
        rows = index.numpy()
        shard = np.searchsorted(self._starts, rows, side="right") - 1
        order = np.argsort(shard, kind="stable")
        stored = np.empty((len(rows), *self.shards[0].shape[1:]), dtype=np.float32)
        cuts = [0, *(np.flatnonzero(np.diff(shard[order])) + 1), len(rows)]
        for here in (order[first:last] for first, last in pairwise(cuts) if last > first):
            number = shard[here[0]]
            stored[here] = self.shards[number][rows[here] - self._starts[number]]
        mean, std = torch.from_numpy(stored).chunk(2, dim=1)
        centre, scale = self.mean.view(1, -1, 1, 1), self.std.view(1, -1, 1, 1)
        return torch.cat([(mean - centre) / scale, std / scale], dim=1)


def _map_shard(path: Path) -> pa.Table:
    """The mapping outlives the file handle, so that any number of files can be mapped at once."""
    with _sound(path), pa.memory_map(str(path)) as source:
        table = pa.ipc.open_stream(source).read_all()
        if table["moments"].num_chunks != 1:
            raise pa.ArrowInvalid("it ends before its rows")
        return table


def _view(values: pa.Array) -> np.ndarray:
    """Nested lists of fixed sizes as an array over the mapped memory."""
    shape = [len(values)]
    while isinstance(values, pa.FixedSizeListArray):
        shape.append(values.type.list_size)
        values = values.values
    return values.to_numpy(zero_copy_only=True).reshape(shape)


@contextmanager
def _sound(path: Path) -> Iterator[None]:
    """A shard is part of its folder: whatever is wrong with it, the folder has to be made again."""
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"{path.parent} is damaged ({path.name}: {reason}): delete the folder and run `snakemake` to make it again"
        ) from error
