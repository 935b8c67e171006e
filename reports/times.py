"""`python -m reports times`: how long finished presets took, by the records of their stages, in docs/times.yaml.

The file is the only place of run times: the README quotes it, and a test compares the two. Entries of presets that have no
finished results here stay, so that one file can hold runs of several machines.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from reports.errors import UserError
from reports.formats import Record
from reports.output import write_text
from reports.results import Results
from reports.tables.costs import machine

HEAD = """\
# How long presets took, from the records of their stages; written by `python -m reports times`, quoted by README.md.
# minutes: during which a stage ran, pauses left out; stage_minutes: those of all stages added up, which run side by side.
"""


def write_times(results: Path, output: Path) -> Path:
    """Bring `output` up to date with every finished preset in `results`; returns its path."""
    found = {
        path.parent.name: entry(Results(path.parent.resolve(), path.parent.name).records)
        for path in sorted(results.glob("*/report.html"))
    }
    if not found:
        raise UserError(f"{results} has no finished preset: run `make reproduce` first")
    known = (yaml.safe_load(output.read_text()) or {}) if output.is_file() else {}
    content = dict(sorted({**known, **found}.items()))
    write_text(output, HEAD + yaml.safe_dump(content, sort_keys=False))
    return output


def entry(records: list[Record]) -> dict[str, Any]:
    """What one preset took."""
    runs = sorted((_start(record), float(record.get("wall_seconds"))) for record in records)
    first = records[0]
    return {
        "minutes": max(1, round(_covered(runs) / 60)),
        "stage_minutes": max(1, round(sum(seconds for _, seconds in runs) / 60)),
        "stages": len(runs),
        "machine": machine(first.get("machine")),
        "commit": str(first.get("git_commit"))[:7],
        "date": str(first.get("started"))[:10],
    }


def _start(record: Record) -> float:
    return datetime.fromisoformat(record.get("started")).timestamp()


def _covered(runs: list[tuple[float, float]]) -> float:
    """Seconds of the union of intervals (start, length), sorted by start."""
    covered, end = 0.0, float("-inf")
    for start, seconds in runs:
        covered += max(0.0, start + seconds - max(start, end))
        end = max(end, start + seconds)
    return covered
