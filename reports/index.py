"""results/index.html: every preset that has claims, with its verdicts."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reports.errors import UserError
from reports.output import write_text
from reports.page import environment, last_started
from reports.results import Results


@dataclass(frozen=True)
class Entry:
    """One preset's row."""

    preset: str
    when: str
    verdicts: dict[str, dict[str, Any]]  # by claim id
    has_page: bool


def write_index(folder: Path) -> Path:
    """Write FOLDER/index.html and return its path; presets without claims.json are left out."""
    if not folder.is_dir():
        raise UserError(f"{folder} is missing: run `snakemake`, or name the folder that holds results")
    entries = [_entry(path) for path in sorted(folder.glob("*/claims.json"))]
    ids = sorted({id for entry in entries for id in entry.verdicts})
    page = environment().get_template("index.html.j2").render(entries=entries, ids=ids)
    write_text(folder / "index.html", page)
    return folder / "index.html"


def _entry(path: Path) -> Entry:
    root = path.parent
    return Entry(
        root.name, last_started(Results(root, root.name)), read_claims(root), (root / "report.html").is_file()
    )


def read_claims(root: Path) -> dict[str, dict[str, Any]]:
    """{claim id: row} of ROOT/claims.json."""
    path = root / "claims.json"
    if not path.is_file():
        raise UserError(f"{path} is missing: run `python -m reports {root.name}` first")
    try:
        return {str(row["id"]): row for row in json.loads(path.read_text())}
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is damaged: run `python -m reports {root.name}` to make it again") from error
