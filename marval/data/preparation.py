"""From a collection of image files to what the stages read: the index of training images, held-out images, class names."""

from __future__ import annotations

import logging
import sys
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from marval.artifacts import replacing, write_json
from marval.data.collection import Listing, Reader, read_images
from marval.data.images import TRAIN
from marval.data.index import Index, choose, make_index, write_index
from marval.data.sources.files import FileSource
from marval.data.verification import Checked, verify
from marval.errors import UserError

NAMED = 5  # damaged images in an error message; the log has all
BATCH = 256


def prepare_files(source: FileSource, folder: Path, partial: Path, label: str) -> None:
    """Write train.parquet, test.npz and classes.json to `folder`; `partial` keeps what an interruption would lose.

    Raises UserError where too many images are damaged, or a class has too few.
    """
    collection = source.collection()
    if collection.note:
        _announce(f"{label}: {collection.note}")
    train, held_out = collection.train, collection.held_out
    files = _joined(train, held_out) if held_out else train
    checked = verify(collection.reader, files.places, partial / "checked", label)
    _report_damaged(files.places, checked, source.max_damaged)
    count = len(train.places)
    hold_out = 0 if held_out else source.held_out
    index = make_index(train, checked[:count], collection.names, hold_out, source.seed)
    _announce(f"{label}: {_summary(index, checked)}")
    rows = index.held_out
    if held_out:
        rows = count + _choose_held_out(held_out, checked[count:], index, source)
    write_index(folder / TRAIN, index)
    _write_held_out(folder / "test.npz", collection.reader, files, checked, rows, source.size)
    write_json(folder / "classes.json", collection.names)


def _joined(first: Listing, second: Listing) -> Listing:
    return Listing([*first.places, *second.places], np.concatenate([first.labels, second.labels]))


def _report_damaged(places: Sequence[str], checked: Sequence[Checked], allowed: float) -> None:
    """Name every damaged image in the log; on the terminal too, unless they are more than allowed, which is an error."""
    damaged = [f"{place} ({c.problem})" for place, c in zip(places, checked, strict=True) if c.problem]
    for name in damaged:
        logging.getLogger("marval").warning("damaged image: %s", name)
    limit = allowed if allowed >= 1 else allowed * len(places)
    if len(damaged) > limit:
        raise UserError(
            f"{len(damaged)} of {len(places)} images are damaged, more than prepare.max_damaged, {allowed:g}, allows: "
            f"{', '.join(damaged[:NAMED])}{', ... (the log names all)' if damaged[NAMED:] else ''}: replace or delete "
            "them, or allow for more"
        )
    for name in damaged:
        sys.stderr.write(f"damaged image, not used: {name}\n")


def _summary(index: Index, checked: Sequence[Checked]) -> str:
    damaged = sum(c.problem is not None for c in checked[: len(index.problems)])
    copies = len(index.problems) - damaged - len(index.used) - len(index.held_out)
    return (
        f"{len(index.problems)} training images: used {len(index.used)}, held out {len(index.held_out)}, "
        f"copies of others in their class {copies}, damaged {damaged}"
    )


def _announce(message: str) -> None:
    logging.getLogger("marval").info("%s", message)
    sys.stderr.write(f"{message}\n")


def _choose_held_out(
    listing: Listing, checked: Sequence[Checked], index: Index, source: FileSource
) -> np.ndarray:
    """Rows of a listing of its own; no damaged image, and none that is also in the training set."""
    trained = set(index.sha256)
    good = np.array([c.problem is None and c.sha256 not in trained for c in checked], dtype=bool)
    return choose(listing.labels, good, source.held_out, source.seed)


def _write_held_out(
    path: Path, reader: Reader, files: Listing, checked: Sequence[Checked], rows: np.ndarray, size: int
) -> None:
    if not len(rows):
        raise UserError(
            "no held-out image is sound and not trained on as well: give more, or none, and some are taken out of the "
            "training images"
        )
    batches = (
        read_images(reader, [files.places[r] for r in part], [checked[r].sha256 for r in part], size)
        for part in np.split(rows, range(BATCH, len(rows), BATCH))
    )
    _write_batches(path, (len(rows), size, size, 3), batches, files.labels[rows])


def _write_batches(
    path: Path, shape: tuple[int, ...], batches: Iterable[np.ndarray], labels: np.ndarray
) -> None:
    """ADM's convention: arr_0, uint8 of `shape` `(n, H, W, 3)`, in batches; arr_1, labels `(n,)`.

    Written as the batches are read: memory holds one. Photographs: not compressed.
    """
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        with archive.open(zipfile.ZipInfo("arr_0.npy"), "w", force_zip64=True) as stream:
            header = {"descr": "|u1", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(stream, header)
            for batch in batches:
                stream.write(np.ascontiguousarray(batch).tobytes())
        with archive.open(zipfile.ZipInfo("arr_1.npy"), "w") as stream:
            np.lib.format.write_array(stream, labels, allow_pickle=False)
