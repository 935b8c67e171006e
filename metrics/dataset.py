"""Pictures of a data set that the `datasets` library reads: from its hub, or from a folder that it saved.

- `hf:NAME:SPLIT` or `hf:NAME@CONFIG:SPLIT`: streamed from the hub, or from its cache where there is no network
- a folder of `save_to_disk`
- a folder with parquet files, `FOLDER:SPLIT` where it has several splits

A folder of plain images, with class folders or without (the library's `imagefolder`), needs no library: see metrics.real.
"""

import io
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metrics.errors import UserError
from metrics.pictures import Picture

if TYPE_CHECKING:
    from PIL import Image

HUB = re.compile(r"hf:(?P<name>[^@:]+)(@(?P<config>[^@:]+))?:(?P<split>[\w.-]+)")
FORM = "write hf:NAME:SPLIT or hf:NAME@CONFIG:SPLIT, such as hf:ILSVRC/imagenet-1k:train"


def is_dataset(text: str) -> bool:
    """Whether the text names a data set; False for a batch file and a folder of plain images."""
    if text.startswith("hf:"):
        return True
    folder, _ = _folder_and_split(text)
    return folder.is_dir() and (_is_saved(folder) or any(folder.rglob("*.parquet")))


def open_dataset(text: str) -> Iterator[Picture]:
    """Pictures in the data set's order; its one column of images, its finest column of class labels.

    Raises UserError in one line for whatever the library raises: no network, unknown name, configuration or split.
    """
    rows = _open(text)
    if rows.features is None:
        raise UserError(
            f"{text}: the data set does not tell its columns' types: save it with `datasets` and give the folder"
        )
    image, label = _columns(text, rows.features)
    from datasets import Image as ImageFeature

    rows = rows.select_columns([name for name in (image, label) if name])
    return _pictures(text, rows.cast_column(image, ImageFeature(decode=False)), image, label)


def _open(text: str) -> Any:
    """A `datasets` Dataset or IterableDataset, one split."""
    import logging

    import datasets

    # it tells every attempt to reach the hub, in several lines
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    folder, split = _folder_and_split(text)
    hub = HUB.fullmatch(text)
    if text.startswith("hf:") and not hub:
        raise UserError(f"{text}: not a data set's name and split: {FORM}")
    try:
        if hub:
            return datasets.load_dataset(hub["name"], hub["config"], split=hub["split"], streaming=True)
        found: Any = (
            datasets.load_from_disk(str(folder))
            if _is_saved(folder)
            else datasets.load_dataset(str(folder), streaming=True)
        )
    except Exception as error:  # the library and those below it raise many kinds
        raise UserError(_explained(text, error)) from error
    return _one_split(text, found, split)


def _one_split(text: str, found: Any, split: str | None) -> Any:
    if not isinstance(found, dict):
        return found
    names = list(found)
    if split is None and len(names) == 1:
        return found[names[0]]
    if split not in names:
        raise UserError(f"{text}: give one of its splits ({', '.join(names)}) as FOLDER:SPLIT")
    return found[split]


def _columns(text: str, features: dict[str, Any]) -> tuple[str, str | None]:
    """The column of images, and that of class labels (the one with most classes) or None."""
    from datasets import ClassLabel
    from datasets import Image as ImageFeature

    images = [name for name, kind in features.items() if isinstance(kind, ImageFeature)]
    if len(images) != 1:
        raise UserError(
            f"{text}: {len(images)} columns of images (columns: {', '.join(features)}): save it with exactly one and give "
            "the folder"
        )
    labels = {name: kind.num_classes for name, kind in features.items() if isinstance(kind, ClassLabel)}
    return images[0], max(labels, key=labels.__getitem__) if labels else None


def _pictures(text: str, rows: Any, image: str, label: str | None) -> Iterator[Picture]:
    iterator = iter(rows)
    index = -1
    while True:
        try:
            row = next(iterator, None)
        except Exception as error:  # from the network, or from a damaged file
            raise UserError(_explained(f"{text}, after {index + 1} images", error)) from error
        if row is None:
            return
        index += 1
        name = f"{text} image {index}"
        known = label is not None and row[label] is not None
        yield Picture(name, partial(_opened, row[image]), int(row[label]) if known else -1)


def _opened(stored: dict[str, Any] | None) -> "Image.Image":
    from PIL import Image

    if stored is None:
        raise ValueError("no image in this row")
    return Image.open(stored["path"] if stored["bytes"] is None else io.BytesIO(stored["bytes"]))


def _is_saved(folder: Path) -> bool:
    return (folder / "state.json").is_file() or (folder / "dataset_dict.json").is_file()


def _folder_and_split(text: str) -> tuple[Path, str | None]:
    folder, colon, split = text.rpartition(":")
    return (Path(folder), split) if colon and not Path(text).exists() else (Path(text), None)


def _explained(text: str, error: Exception) -> str:
    reason = " ".join(str(error).split()) or type(error).__name__
    return f"{text}: the data set cannot be read ({reason}): check the name, the split and the network, or give a saved folder"
