"""Is a crate what it says? Every file by its hash, every verdict from the files and from the paper's numbers in the crate."""

from __future__ import annotations

import math
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from reports.claims import as_rows, evaluate
from reports.errors import UserError
from reports.export.crate import METADATA, sha256
from reports.formats import DAMAGE, read_json
from reports.paper import Paper
from reports.results import Results

NEAR = 1e-9  # relative; machines differ in the last digits of a logarithm


def verify(crate: Path) -> str:
    """One line on what was found right; UserError where something is not."""
    if crate.is_file() and zipfile.is_zipfile(crate):
        with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(crate) as archive:
            archive.extractall(folder)
            return _verify(Path(folder), str(crate))
    return _verify(crate, str(crate))


def _verify(root: Path, name: str) -> str:
    if not (root / METADATA).is_file():
        raise UserError(f"{name} is no crate: it has no {METADATA}; make one with `make export PRESET=...`")
    try:
        graph = read_json(root / METADATA)["@graph"]
        hashes = {entity["@id"]: entity["sha256"] for entity in graph if "sha256" in entity}
        presets = {Path(path).parts[1] for path in hashes if path.startswith("results/")}
    except DAMAGE as error:
        raise UserError(f"{name}/{METADATA} is damaged: get the crate again") from error
    wrong = [path for path, value in hashes.items() if not _is(root / path, value)]
    present = {p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file()}
    added = sorted(present - {*hashes, METADATA})
    if wrong or added:
        what = f"{len(wrong)} files missing or changed, {len(added)} added"
        raise UserError(f"{name}: {what}, the first {(wrong + added)[0]}: get the crate again")
    (preset,) = presets
    results = Results.open(preset, root / "results" / preset)
    own = as_rows(evaluate(results, Paper(root / "workflow/paper.yaml")), results)
    said = read_json(results.root / "claims.json")
    if difference := _difference(_without_places(own), _without_places(said)):
        raise UserError(
            f"{name}: {difference}; its claims.json does not follow from its files with this code"
        )
    verdicts = ", ".join(f"{row['id']} {row['verdict']}" for row in own)
    return f"{name}: {len(hashes)} files as hashed, {len(own)} verdicts as recomputed ({verdicts})"


def _is(path: Path, value: str) -> bool:
    return path.is_file() and sha256(path) == value


def _without_places(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Claims whose evidence is hashes alone: a results folder may have had another name where the report was made."""
    return [row | {"evidence": [entry["md5"] for entry in row["evidence"]]} for row in rows]


def _difference(own: Any, said: Any, where: str = "claims") -> str:
    """Where two contents differ first; empty where they are the same but for the last digits."""
    if isinstance(own, dict) and isinstance(said, dict) and own.keys() == said.keys():
        return next((d for key in own if (d := _difference(own[key], said[key], f"{where}, {key}"))), "")
    if isinstance(own, list) and isinstance(said, list) and len(own) == len(said):
        pairs = enumerate(zip(own, said, strict=True))
        return next((d for i, (a, b) in pairs if (d := _difference(a, b, f"{where}, {_name(a, i)}"))), "")
    if (
        isinstance(own, float)
        and isinstance(said, float)
        and math.isclose(own, said, rel_tol=NEAR, abs_tol=NEAR)
    ):
        return ""
    return "" if own == said else f"{where}: {said!r} in the file, {own!r} recomputed"


def _name(row: Any, index: int) -> str:
    return str(row.get("id") or row.get("name") or index) if isinstance(row, dict) else str(index)
