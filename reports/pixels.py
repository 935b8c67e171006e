"""Images of result files as data URIs, without loading more of a large npz than what is shown."""

from __future__ import annotations

import base64
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

TILE = 160  # the longest side of an embedded image, pixels; larger ones are scaled down
SHOWN = 112  # the longest side on the page; the rest is for who looks closer
LOSSLESS = 48  # up to this side images are PNG and drawn with hard pixels; beyond, JPEG keeps the page small
READABLE = 1 << 30  # bytes of a compressed array that a report will unpack


@dataclass(frozen=True)
class Picture:
    """An embedded image, to be shown `scale` times its size; `pixelated` asks for hard pixels when enlarged."""

    uri: str
    alt: str
    caption: str
    width: int
    height: int
    pixelated: bool = False
    scale: float = 1.0


def grid(images: NDArray, columns: int, alt: str, caption: str, gap: int = 2) -> Picture:
    """A picture of uint8 (N, H, W, 3) images, row by row; the gaps are transparent where the format can."""
    from PIL import Image

    count, high, wide = images.shape[:3]
    rows = -(-count // columns)
    small = max(high, wide) <= LOSSLESS
    gap = gap if small else 2 * gap  # photographs run into each other sooner
    scale = min(1.0, TILE / max(high, wide))
    high, wide = round(high * scale), round(wide * scale)
    size = (columns * (wide + gap) - gap, rows * (high + gap) - gap)
    grey = small and bool((images == images[..., :1]).all())  # scans: a channel instead of three
    if not small:
        canvas = Image.new("RGB", size, (128, 128, 128))
    else:
        canvas = Image.new("LA" if grey else "RGBA", size, (0, 0) if grey else (0, 0, 0, 0))
    for i, pixels in enumerate(images):
        tile = (
            Image.fromarray(pixels)
            .convert("L" if grey else "RGB")
            .resize((wide, high), Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.NEAREST)
        )
        canvas.paste(tile.convert(canvas.mode), ((i % columns) * (wide + gap), (i // columns) * (high + gap)))
    stream = io.BytesIO()
    if small:
        canvas.save(stream, format="PNG", optimize=True)
    else:
        canvas.save(stream, format="JPEG", quality=85)
    uri = _uri(stream.getvalue(), "png" if small else "jpeg")
    shown = 2.0 if small else min(1.0, SHOWN / max(high, wide))
    return Picture(uri, alt, caption, *canvas.size, pixelated=small, scale=shown)


def file_picture(path: Path, alt: str, caption: str, longest: int = 900) -> Picture:
    """A PNG file as it is, or scaled down to `longest` pixels."""
    from PIL import Image

    with Image.open(path) as image:
        if max(image.size) <= longest:
            small = max(image.size) < 500
            uri = _uri(path.read_bytes(), "png")
            return Picture(uri, alt, caption, *image.size, pixelated=small, scale=2.0 if small else 1.0)
        shown = image.convert("RGB")
        shown.thumbnail((longest, longest))
    stream = io.BytesIO()
    shown.save(stream, format="JPEG", quality=85)
    return Picture(_uri(stream.getvalue(), "jpeg"), alt, caption, *shown.size)


def _uri(content: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def rows_of(path: Path, name: str, indices: NDArray) -> NDArray | None:
    """`archive[name][indices]`; None if the array is compressed and too large to unpack here."""
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo(f"{name}.npy")
        if info.compress_type != zipfile.ZIP_STORED and info.file_size > READABLE:
            return None
        if info.file_size <= READABLE:
            with np.load(path, allow_pickle=False) as arrays:
                return arrays[name][indices]
    return _mapped(path, info)[indices]


def _mapped(path: Path, info: zipfile.ZipInfo) -> NDArray:
    """A stored member as a memory map: behind its local header (30 bytes, name, extra field) lies the .npy file."""
    with path.open("rb") as stream:
        stream.seek(info.header_offset + 26)
        name_length, extra_length = np.frombuffer(stream.read(4), "<u2")
        stream.seek(info.header_offset + 30 + int(name_length) + int(extra_length))
        version = np.lib.format.read_magic(stream)
        read = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        shape, fortran, dtype = read(stream)
        return np.memmap(path, dtype, "r", stream.tell(), shape, "F" if fortran else "C")
