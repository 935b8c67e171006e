"""results/index.html: every preset that has claims, with its verdicts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reports import front
from reports.claims import Claim
from reports.errors import UserError
from reports.output import write_text
from reports.page import environment, forest_groups, last_started
from reports.recorded import read_claims
from reports.results import Results


@dataclass(frozen=True)
class Entry:
    """One preset's row."""

    preset: str
    when: str
    claims: dict[str, Claim]
    has_page: bool

    @property
    def result(self) -> str:
        return front.result(self.claims.values(), self.preset)

    @property
    def groups(self) -> list[dict[str, Any]]:
        """Of its forest plot, the claims in its report."""
        page = f"{self.preset}/report.html" if self.has_page else None
        return forest_groups(list(self.claims.values()), page)


def write_index(folder: Path) -> Path:
    """Write FOLDER/index.html and return its path; presets without claims.json are left out."""
    if not folder.is_dir():
        raise UserError(f"{folder} is missing: run `snakemake`, or name the folder that holds results")
    entries = [_entry(path) for path in sorted(folder.glob("*/claims.json"))]
    ids = sorted({id for entry in entries for id in entry.claims})
    page = environment().get_template("index.html.j2").render(entries=entries, ids=ids)
    write_text(folder / "index.html", page)
    return folder / "index.html"


def _entry(path: Path) -> Entry:
    root = path.parent
    return Entry(
        root.name, last_started(Results(root, root.name)), read_claims(root), (root / "report.html").is_file()
    )
