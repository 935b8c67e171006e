"""Pictures for people: PNG files, and images side by side."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from marval.artifacts import replacing

GRID_ROWS, GRID_COLUMNS = 10, 10


def write_image(path: Path, pixels: np.ndarray) -> None:
    """A PNG from uint8 `(H, W, 3)`."""
    from PIL import Image

    with replacing(path) as temporary:
        Image.fromarray(pixels).save(temporary, format="PNG")


def class_grid(images: np.ndarray, classes: int) -> np.ndarray:
    """One image `(rows H, columns W, 3)`: a row for each of up to `GRID_ROWS` classes, its first images by their index."""
    shown = np.linspace(0, min(classes, len(images)), min(classes, len(images), GRID_ROWS), endpoint=False)
    rows = [np.concatenate(list(images[int(k) :: classes][:GRID_COLUMNS]), axis=1) for k in shown]
    width = min(row.shape[1] for row in rows)
    return np.concatenate([row[:, :width] for row in rows])
