"""The distilled student as the page runs it: weights of MAR and of the KL decoder, sizes, normaliser (templates/student.js).

Embedded where it is small enough for a page; the report then needs no torch to show what the model does, and nor does its reader.
"""

from __future__ import annotations

import base64
import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reports.formats import read_json
from reports.results import Results
from reports.roles import Role

LIMIT = 8_000_000  # bytes of weights that a page may carry
DECODER = ("decoder.", "post_quant_conv.")  # of the autoencoder's weights
FLOAT = 4  # bytes


@dataclass(frozen=True)
class Student:
    """Everything that student.js needs; `table` has {tensor: [offset in floats, shape]}, `weights` is base64 of float32."""

    variant: str
    seed: str
    config: dict[str, Any]
    table: dict[str, Any]
    weights: str
    files: tuple[Path, ...]

    @property
    def description(self) -> str:
        """JSON for a script element: no `<` in it can end that."""
        return json.dumps({"config": self.config, "table": self.table}).replace("<", "\\u003c")


def student(results: Results) -> Student | None:
    """The first seed of the student's model; None where a file is missing, or the weights are too large or no float32."""
    names = results.roles.named(Role.STUDENT)
    model = results.roles.model(names[0]) if names else ""
    folder = results.root / "models"
    found = sorted((folder / model).glob("seed-*.safetensors")) if model else []
    t, variant = results.settings.get("one_step_t"), results.variants.get(names[0], {}) if names else {}
    if not found or t is None or variant.get("guidance") != 1:
        return None
    files = (found[0], folder / "tokenizer.safetensors", results.root / "latents" / "normaliser.json")
    described = (found[0].with_suffix(".json"), folder / "tokenizer.json", files[2])
    mar, tokenizer, normaliser = (results.read(path, read_json, required=False) for path in described)
    if not (mar and tokenizer and normaliser and files[1].is_file()):
        return None
    tensors = results.read(found[0], _tensors)
    decoder = results.read(files[1], _tensors)
    if not tensors or not decoder:
        return None
    tensors |= {name: tensor for name, tensor in decoder.items() if name.startswith(DECODER)}
    if sum(len(content) for _, content in tensors.values()) > LIMIT:
        return None
    config = {
        "mar": mar["config"],
        "tokenizer": tokenizer["config"],
        **{key: normaliser[key] for key in ("mean", "std")},
        "one_step_t": int(t),
        "ar_steps": int(variant["ar_steps"]),
    }
    table, weights = _packed(tensors)
    return Student(names[0], found[0].stem.removeprefix("seed-"), config, table, weights, files)


def _packed(tensors: dict[str, tuple[list[int], bytes]]) -> tuple[dict[str, Any], str]:
    """The table, and all values one after the other."""
    table: dict[str, Any] = {}
    offset = 0
    for name, (shape, _) in sorted(tensors.items()):
        table[name] = [offset, shape]
        offset += math.prod(shape)
    values = b"".join(content for _, (_, content) in sorted(tensors.items()))
    return table, base64.b64encode(values).decode()


def _tensors(path: Path) -> dict[str, tuple[list[int], bytes]]:
    """{name: (shape, little-endian float32)} of a safetensors file; empty if it is too large or holds other numbers."""
    if path.stat().st_size > LIMIT:
        return {}
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    header.pop("__metadata__", None)
    if any(entry["dtype"] != "F32" for entry in header.values()):
        return {}
    values = memoryview(content)[8 + length :]
    found = {}
    for name, entry in header.items():
        start, end = entry["data_offsets"]
        if end - start != FLOAT * math.prod(entry["shape"]) or end > len(values):
            raise ValueError(f"tensor {name} is cut off")
        found[name] = (list(entry["shape"]), bytes(values[start:end]))
    return found
