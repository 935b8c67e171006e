"""A folder of image files in ImageNet's layout: train/<class>/*, and val/<class>/* where there are held-out images."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from marval.artifacts import read_json
from marval.data import imagenet
from marval.data.collection import Collection, Listing
from marval.data.sources.files import FileSource
from marval.errors import Missing, UserError

CLASSES = "classes.json"  # {folder name: entity name}, in the folder, where the names of the class folders are not enough


@dataclass(frozen=True)
class FolderReader:
    """Reads files below a folder."""

    root: Path

    def read(self, place: str) -> bytes:
        return (self.root / place).read_bytes()

    def state(self, place: str) -> str:
        try:
            status = (self.root / place).stat()
        except OSError as error:  # a link to nowhere
            return f"{place}:{error.errno}"
        return f"{place}:{status.st_size}:{status.st_mtime_ns}"


class ImageFolder(FileSource):
    """Section `prepare` for a folder of image files; a class is a folder, labels follow the sorted names."""

    data: Literal["image-folder"]
    folder: str = Field(
        description="holds train/<class>/ and perhaps val/<class>/; relative to the repository"
    )
    held_out: int = Field(
        gt=0, description="images of each class to hold out: of val/, or else out of train/"
    )

    @property
    def _root(self) -> Path:
        return Path(self.folder).expanduser()

    def class_count(self) -> int | None:
        train = self._root / "train"
        return len(_folders(train)) if train.is_dir() else None

    def missing(self) -> list[Missing]:
        if (self._root / "train").is_dir():
            return []
        link = f"mkdir -p {Path(self.folder).parent} && ln -s /path/to/images {self.folder}"
        return [
            Missing(
                path=self._root / "train",
                what="training images, train/CLASS/IMAGE",
                source="your own; those of ImageNet: https://image-net.org, after registration",
                remedy=f"link the folder of images, `{link}`, or change prepare.folder",
            )
        ]

    def reader(self) -> FolderReader:
        return FolderReader(self._root)

    def collection(self) -> Collection:
        root = self._root
        if not (root / "train").is_dir():
            raise UserError(
                f"prepare.folder is {self.folder}, which has no folder train: put the images at "
                f"{root / 'train/<class>/*'}, or name their folder"
            )
        classes = _folders(root / "train")
        train = _list(root, "train", classes)
        if not train.places:
            raise UserError(f"{root / 'train'} has no images: they belong in one folder for each class")
        names, val = _names(root, classes), root / "val"
        held_out_classes = _folders(val) if val.is_dir() else []
        if unknown := sorted(set(held_out_classes) - set(classes)):
            raise UserError(f"{val / unknown[0]} is a class that train does not have")
        if held_out_classes:
            return Collection(names, self.reader(), train, _list(root, "val", classes))
        note = f"{val} has no class folders: images are held out of train instead"
        return Collection(names, self.reader(), train, None, note)


def _folders(parent: Path) -> list[str]:
    return sorted(entry.name for entry in os.scandir(parent) if entry.is_dir() and not _hidden(entry.name))


def _hidden(name: str) -> bool:
    return name.startswith(".")


def _list(root: Path, part: str, classes: list[str]) -> Listing:
    """Every file in a class's folder and below it, hidden ones excepted: what is no image will be told."""
    places: list[str] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        found = []
        for folder, folders, files in os.walk(root / part / name, followlinks=True):
            folders[:] = [f for f in folders if not _hidden(f)]
            found += [os.path.relpath(os.path.join(folder, f), root) for f in files if not _hidden(f)]
        places += sorted(found)
        labels += [label] * len(found)
    return Listing(places, np.array(labels, dtype=np.int64))


def _names(root: Path, classes: list[str]) -> list[str]:
    """From the file, if there is one; ImageNet's own names for its ids; else those of the folders."""
    if (root / CLASSES).is_file():
        given = read_json(root / CLASSES)
        if not isinstance(given, dict) or not all(isinstance(given.get(name), str) for name in classes):
            raise UserError(
                f"{root / CLASSES} must be a mapping that names every folder of train: {{folder: name}}"
            )
        return [given[name] for name in classes]
    labels = [imagenet.wnids().get(name) for name in classes]
    known = [label for label in labels if label is not None]
    if len(known) < len(classes):
        return classes
    names = imagenet.entity_names()
    return [names[label] for label in known]
