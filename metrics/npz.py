"""Reading npz files: only the arrays that are wanted, and without copying them where the file allows it.

An array that is stored uncompressed, as `numpy.savez` does, is mapped into memory: a batch of 50,000 images of 256 x 256 is
10 GB, and then it is the system's cache that holds it. A compressed array is unpacked once.
"""

import struct
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from metrics.errors import UserError

LOCAL_HEADER = 30  # bytes of a zip member's own header before its name; the last two shorts are lengths


def read_npz(path: Path, wanted: Sequence[str], advice: str) -> tuple[dict[str, NDArray], list[str]]:
    """Those of the `wanted` arrays that the file has (read-only where mapped), and the names of all it has.

    `advice`: what to do about a file that is not a plain npz; ends the error's line.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = {member.filename.removesuffix(".npy"): member for member in archive.infolist()}
            found = {name: _array(path, archive, members[name]) for name in wanted if name in members}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: not a readable npz file of plain arrays: {advice}") from error
    return found, list(members)


def _array(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray:
    with archive.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        if version not in read:
            raise ValueError(f"npy format {version}")
        shape, fortran_order, dtype = read[version](stream)
        start = stream.tell()
    if dtype.hasobject:
        raise ValueError("pickled objects are not read")
    if member.compress_type != zipfile.ZIP_STORED or 0 in shape or not shape:
        with archive.open(member) as stream:
            return np.lib.format.read_array(stream, allow_pickle=False)
    offset = _data_offset(path, member) + start
    return np.asarray(np.memmap(path, dtype, "r", offset, shape, "F" if fortran_order else "C"))


def _data_offset(path: Path, member: zipfile.ZipInfo) -> int:
    """Where a stored member's bytes begin: its name and extra field may differ from the central directory's."""
    with path.open("rb") as file:
        file.seek(member.header_offset)
        name, extra = struct.unpack("<HH", file.read(LOCAL_HEADER)[-4:])
    return member.header_offset + LOCAL_HEADER + int(name) + int(extra)
