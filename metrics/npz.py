"""Reading npz files: only the arrays that are wanted, and without copying them where the file allows it.

An array that is stored uncompressed, as `numpy.savez` does, is mapped into memory: a batch of 50,000 images of 256 x 256 is
10 GB, and then it is the system's cache that holds it. It is read once to check its sum, as unpacking a compressed one does.
"""

import math
import os
import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from metrics.errors import UserError, reason

LOCAL_HEADER = 30  # bytes of a zip member's own header before its name; the last two shorts are lengths
DENSEST = 1032  # bytes that one byte of deflate gives at most
BLOCK = 1 << 22


def read_npz(path: Path, wanted: Sequence[str], advice: str) -> tuple[dict[str, NDArray], list[str]]:
    """Those of the `wanted` arrays that the file has (read-only where mapped), and the names of all it has.

    `advice`: what to do about a file that is not a plain npz; ends the error's line.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = {member.filename.removesuffix(".npy"): member for member in archive.infolist()}
            found = {name: _array(path, archive, members[name]) for name in wanted if name in members}
    except Exception as error:  # a damaged archive can fail in any way
        raise UserError(
            f"{path}: not a readable npz file of plain arrays ({reason(error)}): {advice}"
        ) from error
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
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != member.file_size - start:
        raise ValueError(f"{member.filename} has not the size that its header says")
    if member.compress_type != zipfile.ZIP_STORED or 0 in shape or not shape:
        _check_unpacked(member)
        with archive.open(member) as stream:
            return np.lib.format.read_array(stream, allow_pickle=False)
    offset = _data_offset(path, member)
    _check_sum(path, member, offset)
    return np.asarray(np.memmap(path, dtype, "r", offset + start, shape, "F" if fortran_order else "C"))


def _check_unpacked(member: zipfile.ZipInfo) -> None:
    """Refuse to unpack what cannot be: the size that the archive gives is not to be believed, and memory is not endless."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    possible = min(memory, DENSEST * member.compress_size + BLOCK)
    if member.file_size > possible:
        raise ValueError(f"{member.filename} would unpack to {member.file_size / 1e9:.3g} GB")


def _data_offset(path: Path, member: zipfile.ZipInfo) -> int:
    """Where a stored member's bytes begin: its name and extra field may differ from the central directory's."""
    with path.open("rb") as file:
        file.seek(member.header_offset)
        name, extra = struct.unpack("<HH", file.read(LOCAL_HEADER)[-4:])
    return member.header_offset + LOCAL_HEADER + int(name) + int(extra)


def _check_sum(path: Path, member: zipfile.ZipInfo, offset: int) -> None:
    """Of a stored member, which is mapped past `zipfile` and its check."""
    found, left = 0, member.file_size
    with path.open("rb") as file:
        file.seek(offset)
        while left and (block := file.read(min(left, BLOCK))):
            found, left = zlib.crc32(block, found), left - len(block)
    if left or found != member.CRC:
        raise ValueError(f"{member.filename} is damaged: its check sum is another one")
