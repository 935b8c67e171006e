"""Is a crate what it says? Files by their hashes, results by their stages' records; verdicts and metadata are made again.

The metadata has a hash of every other file and none of itself: it is checked by being written anew. Whoever changes a file and
all that follows from it, records too, is not found out; against that, get the metadata's own hash from elsewhere.
"""

from __future__ import annotations

import math
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import yaml

from reports.claims import Claim, as_rows, evaluate, find
from reports.errors import UserError
from reports.export.crate import LEFT_OUT, METADATA, metadata, sha256
from reports.formats import DAMAGE, read_json
from reports.paper import Paper
from reports.provenance import unlike_recorded
from reports.results import Results

NEAR = 1e-9  # relative; machines differ in the last digits of a logarithm
NAMED = 5  # files of one fault in the message
T = TypeVar("T")


def verify(crate: Path) -> str:
    """One line on what was found right; UserError where something is not, or cannot be checked."""
    if not (crate.is_file() and zipfile.is_zipfile(crate)):
        return _verify(crate, str(crate))
    with tempfile.TemporaryDirectory() as folder:
        try:
            with zipfile.ZipFile(crate) as archive:
                archive.extractall(folder)
        except DAMAGE as error:
            raise UserError(f"{crate} is damaged ({error}): get the crate again") from error
        return _verify(Path(folder), str(crate))


def _verify(root: Path, name: str) -> str:
    if not (root / METADATA).is_file():
        raise UserError(f"{name} is no crate: it has no {METADATA}; make one with `make export PRESET=...`")
    said = _read(root, METADATA, read_json, name)
    hashes = _hashes(said, name)
    _check_files(root, hashes, name)
    (preset,) = {path.split("/")[1] for path in hashes if path.startswith("results/")}
    results = Results.open(preset, root / "results" / preset)
    if difference := unlike_recorded(results, LEFT_OUT):
        raise UserError(f"{name}: {difference}: get the crate again")
    paper = _read(root, "workflow/paper.yaml", Paper, name)
    claims, findings = (_recomputed(check, results, paper, name) for check in (evaluate, find))
    for file, own in (("claims.json", claims), ("findings.json", findings)):
        found = _read(results.root, file, _read_rows, name)
        if difference := _difference(_without_places(own), found, file.removesuffix(".json")):
            raise UserError(f"{name}: {difference}; its {file} does not follow from its files with this code")
    if difference := _difference(metadata(root, results), said, METADATA):
        raise UserError(
            f"{name}: {difference}; the file was changed, or made by another version of this code"
        )
    verdicts = ", ".join(f"{row['id']} {row['verdict']}" for row in claims)
    return f"{name}: {len(hashes)} files as hashed, {len(claims)} verdicts as recomputed ({verdicts})"


def _read(root: Path, file: str, reader: Callable[[Path], T], name: str) -> T:
    try:
        return reader(root / file)
    except (*DAMAGE, yaml.YAMLError) as error:
        raise UserError(f"{name}/{file} is damaged or missing: get the crate again") from error


def _hashes(said: Any, name: str) -> dict[str, str]:
    """{path: sha256} of every file that the metadata describes; all results are of one preset."""
    try:
        hashes = {str(e["@id"]): str(e["sha256"]) for e in said["@graph"] if "sha256" in e}
        (_,) = {path.split("/")[1] for path in hashes if path.startswith("results/")}
    except DAMAGE as error:
        raise UserError(f"{name}/{METADATA} is damaged: get the crate again") from error
    return hashes


def _check_files(root: Path, hashes: dict[str, str], name: str) -> None:
    """UserError that names the files which are missing, changed, or without a hash. A link to elsewhere is no file of a crate."""
    present = {p.relative_to(root).as_posix(): p for p in root.rglob("*") if p.is_symlink() or not p.is_dir()}
    real = {path for path, file in present.items() if file.is_file() and not file.is_symlink()}
    wrong = {
        "missing": [path for path in hashes if path not in present],
        "changed": [p for p in hashes if p in present and (p not in real or sha256(present[p]) != hashes[p])],
        "without a hash": sorted(present.keys() - {*hashes, METADATA}),
    }
    if any(wrong.values()):
        told = "; ".join(f"{what}: {_listed(files)}" for what, files in wrong.items() if files)
        raise UserError(f"{name}: {told}: get the crate again")


def _listed(files: list[str]) -> str:
    more = f" and {len(files) - NAMED} more" if len(files) > NAMED else ""
    return ", ".join(files[:NAMED]) + more


def _recomputed(
    check: Callable[[Results, Paper], list[Claim]], results: Results, paper: Paper, name: str
) -> list[dict[str, Any]]:
    try:
        return as_rows(check(results, paper), results)
    except DAMAGE as error:
        raise UserError(
            f"{name}/workflow/paper.yaml does not fit this code ({type(error).__name__}: {error}): "
            "verify with the version that made the crate"
        ) from error


def _read_rows(path: Path) -> list[dict[str, Any]]:
    return _without_places(read_json(path))


def _without_places(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Claims or findings whose evidence is hashes alone: a results folder may have had another name where the report was made."""
    return [row | {"evidence": [entry["md5"] for entry in row["evidence"]]} for row in rows]


def _difference(own: Any, said: Any, where: str) -> str:
    """Where two contents differ first; empty where they are the same but for the last digits."""
    if isinstance(own, dict) and isinstance(said, dict):
        if unlike := sorted(own.keys() ^ said.keys()):
            return f"{where}: only one of file and recomputed has {unlike[0]}"
        return next((d for key in own if (d := _difference(own[key], said[key], f"{where}, {key}"))), "")
    if isinstance(own, list) and isinstance(said, list):
        if len(own) != len(said):
            return f"{where}: {len(said)} entries in the file, {len(own)} recomputed"
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
    named = (row.get(key) for key in ("id", "@id", "name")) if isinstance(row, dict) else ()
    return str(next(filter(None, named), index))
