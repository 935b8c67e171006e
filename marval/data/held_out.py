"""The file of held-out images, test.npz, written as it is read: as large as it may be, memory holds a batch of it."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from marval.artifacts import replacing


def write_batches(
    path: Path, shape: tuple[int, ...], batches: Iterable[np.ndarray], labels: np.ndarray
) -> None:
    """ADM's convention: arr_0, uint8 of `shape` `(n, H, W, 3)`, in batches; arr_1, labels `(n,)`. Photographs: not compressed."""
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        with archive.open(zipfile.ZipInfo("arr_0.npy"), "w", force_zip64=True) as stream:
            header = {"descr": "|u1", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(stream, header)
            for batch in batches:
                stream.write(np.ascontiguousarray(batch).tobytes())
        with archive.open(zipfile.ZipInfo("arr_1.npy"), "w") as stream:
            np.lib.format.write_array(stream, labels, allow_pickle=False)
