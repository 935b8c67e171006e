"""A data set that `datasets` can load: by its name on the hub, or from a local folder."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from marval.data import imagenet
from marval.data.collection import Collection, Listing
from marval.data.sources.files import FileSource
from marval.errors import UserError

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass(frozen=True)
class HubReader:
    """Reads image files out of the column of a data set, SPLIT:ROW."""

    splits: dict[str, Dataset]  # of one column, not decoded
    column: str

    def read(self, place: str) -> bytes:
        split, row = place.rsplit(":", 1)
        stored = self.splits[split][int(row)][self.column]
        if stored is None:
            raise FileNotFoundError("no image in this row")
        return stored["bytes"] if stored["bytes"] is not None else Path(stored["path"]).read_bytes()

    def state(self, place: str) -> str:
        return f"{place}:{self.splits[place.rsplit(':', 1)[0]]._fingerprint}"


class HubDataset(FileSource):
    """Section `prepare` for a data set of the hub."""

    data: Literal["hub"]
    dataset: str = Field(description="name on the hub, or a local folder: a saved data set, or its files")
    subset: str | None = Field(None, description="configuration of the data set, where it has several")
    revision: str | None = Field(None, description="commit or tag on the hub")
    split: str = "train"
    held_out_split: str | None = Field(
        None, description="where to take held-out images; null: out of `split`"
    )
    image: str = Field("image", description="column")
    label: str = Field("label", description="column, a ClassLabel")
    imagenet_names: bool = Field(False, description="call the 1000 classes as for an ImageNet folder")

    def class_count(self) -> int | None:
        return None

    def reader(self) -> HubReader:
        return _reader(self, _splits(self))

    def collection(self) -> Collection:
        splits = _splits(self)
        names = _names(self, splits[self.split].features[self.label])
        train, *rest = (_list(self, name, splits[name]) for name in splits)
        return Collection(names, _reader(self, splits), train, rest[0] if rest else None)


def _reader(config: HubDataset, splits: dict[str, Dataset]) -> HubReader:
    from datasets import Image

    columns = {name: split.select_columns([config.image]) for name, split in splits.items()}
    files = {name: split.cast_column(config.image, Image(decode=False)) for name, split in columns.items()}
    return HubReader(files, config.image)


def _splits(config: HubDataset) -> dict[str, Dataset]:
    """The splits that are used, by name, the training split first."""
    names = [config.split] + ([config.held_out_split] if config.held_out_split else [])
    splits = {name: _load(config, name) for name in names}
    for name, split in splits.items():
        for key, column in (("image", config.image), ("label", config.label)):
            if column not in split.features:
                raise UserError(
                    f"prepare.{key} is {column!r}, but split {name} of {config.dataset} has the columns "
                    f"{', '.join(split.features)}"
                )
    return splits


def _load(config: HubDataset, split: str) -> Dataset:
    """One split; from the library's cache where there is no network."""
    import datasets

    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # it reports every attempt to connect
    folder = Path(config.dataset).expanduser()
    try:
        if (folder / "dataset_dict.json").is_file():
            return datasets.load_from_disk(str(folder / split))
        if (folder / "state.json").is_file():
            return datasets.load_from_disk(str(folder))
        name = str(folder) if folder.is_dir() else config.dataset
        return datasets.load_dataset(name, config.subset, split=split, revision=config.revision)
    except Exception as error:  # of the library and of those below it: many kinds
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(
            f"prepare.dataset is {config.dataset!r}, whose split {split} cannot be loaded ({reason}): check the names; without "
            "network it must be in the cache or a local folder, and some need `hf auth login`"
        ) from error


def _list(config: HubDataset, name: str, split: Dataset) -> Listing:
    labels = np.asarray(split.select_columns([config.label]).with_format("numpy")[:][config.label])
    if labels.dtype.kind not in "iu" or (len(labels) and labels.min() < 0):
        raise UserError(f"split {name} of {config.dataset} has images without a label: choose another split")
    return Listing([f"{name}:{row}" for row in range(len(labels))], labels.astype(np.int64))


def _names(config: HubDataset, feature: Any) -> list[str]:
    names = getattr(feature, "names", None)
    if names is None:
        raise UserError(
            f"prepare.label is {config.label!r}, which is not a ClassLabel of {config.dataset}: save the data set "
            "with `class_encode_column` applied to it"
        )
    if not config.imagenet_names:
        return list(names)
    if len(names) != len(imagenet.wnids()):
        raise UserError(
            f"prepare.imagenet_names is true, but {config.dataset} has {len(names)} classes, not 1000"
        )
    return imagenet.entity_names()
