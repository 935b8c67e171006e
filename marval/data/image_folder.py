"""A folder of image files in ImageNet's layout: train/<class>/*, and val/<class>/* where there are held-out images."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from marval.artifacts import read_json
from marval.config import Config
from marval.data import imagenet
from marval.data.collection import Collection, Listing
from marval.errors import UserError

CLASSES = "classes.json"  # {folder name: entity name}, in the folder, where the names of the class folders are not enough


class ImageFolderConfig(Config):
    """Section `prepare` for a folder of image files."""

    data: Literal["image-folder"]
    folder: str = Field(
        description="holds train/<class>/ and perhaps val/<class>/; relative to the repository"
    )
    size: int = Field(ge=8, le=2048, description="side of the centre crop, pixels")
    held_out: int = Field(
        gt=0, description="images of each class to hold out: of val/, or else out of train/"
    )
    max_damaged: float = Field(
        0.0, ge=0, description="damaged images to skip: a count, or a fraction below 1"
    )
    seed: int = Field(0, ge=0)


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


def folder_reader(config: ImageFolderConfig) -> FolderReader:
    """Reads by the places that the collection has."""
    return FolderReader(Path(config.folder).expanduser())


def open_folder(config: ImageFolderConfig) -> Collection:
    """List the files; a class is a folder, labels follow the sorted names. UserError says what the folder lacks."""
    reader = folder_reader(config)
    if not (reader.root / "train").is_dir():
        raise UserError(
            f"prepare.folder is {config.folder}, which has no folder train: put the images at "
            f"{reader.root / 'train/<class>/*'}, or name their folder"
        )
    classes = _folders(reader.root / "train")
    train = _list(reader.root, "train", classes)
    if not train.places:
        raise UserError(f"{reader.root / 'train'} has no images: they belong in one folder for each class")
    names, val = _names(reader.root, classes), reader.root / "val"
    held_out_classes = _folders(val) if val.is_dir() else []
    if unknown := sorted(set(held_out_classes) - set(classes)):
        raise UserError(f"{val / unknown[0]} is a class that train does not have")
    if held_out_classes:
        return Collection(names, reader, train, _list(reader.root, "val", classes))
    return Collection(
        names, reader, train, None, f"{val} has no class folders: images are held out of train instead"
    )


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
