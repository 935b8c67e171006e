"""Parameter counts from the heads of safetensors files; no weights are read."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path

from reports.results import Results


def parameters_million(results: Results, variant: str) -> tuple[float, Path] | None:
    """(millions of parameters, file) of the model that a variant samples from; None where there is no such file."""
    name = results.variants.get(variant, {}).get("model")
    files = sorted((results.root / "models" / name).glob("seed-*.safetensors")) if name else []
    if not files:
        return None
    count = results.read(files[0], _count)
    return None if count is None else (count / 1e6, files[0])


def _count(path: Path) -> int:
    """The format: eight bytes with the header's length, then a JSON header of {tensor: {shape, ...}}."""
    with path.open("rb") as stream:
        (length,) = struct.unpack("<Q", stream.read(8))
        if length > 100_000_000:
            raise ValueError("not a safetensors file")
        header = json.loads(stream.read(length))
    return sum(math.prod(entry["shape"]) for name, entry in header.items() if name != "__metadata__")
