"""Where a number came from: its file, the file's md5, the stage run that made it, and how to make it again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from reports.errors import UserError
from reports.formats import Record, md5
from reports.results import Results

UNREAD = ("models", "latents", "snapshots", "image_scores")  # large, and no part of a report


@dataclass(frozen=True)
class Source:
    """A result file that the report quotes; `anchor` is its id in the page."""

    anchor: str
    file: str
    md5: str
    record: Record | None

    @property
    def rerun(self) -> str:
        return f"dvc repro {self.record.stage}" if self.record else "no record names this file as an output"


class Provenance:
    """Hands out one Source for each quoted file, numbered in order of first use."""

    def __init__(self, results: Results, prefix: str = "source") -> None:
        self._results, self._prefix = results, prefix
        self._sources: dict[Path, Source] = {}

    def source(self, file: Path) -> Source:
        if file not in self._sources:
            label = self._results.label(file)
            record = next((r for r in reversed(self._results.records) if _names(r, file, label)), None)
            self._sources[file] = Source(f"{self._prefix}-{len(self._sources) + 1}", label, md5(file), record)
        return self._sources[file]

    @property
    def sources(self) -> list[Source]:
        return list(self._sources.values())


def check_recorded(results: Results) -> None:
    """UserError for a result that is not the one that the last run of its stage recorded: damaged, edited, or of another run.

    What is not there is for the report to say; what it does not read is not looked at.
    """
    if difference := unlike_recorded(results, UNREAD):
        raise UserError(f"{difference}: run `snakemake`, which restores it or makes it again")


def unlike_recorded(results: Results, unread: tuple[str, ...]) -> str:
    """The first result that differs from what its record says, in words; empty if none does.

    Folders in `unread` and what is not there are not looked at.
    """
    recorded = {
        path: (str(value), record)
        for record in results.records
        for path, value in (record.get("outputs") or {}).items()
    }
    for path, (value, record) in recorded.items():
        file = results.root.joinpath(*Path(path).parts[2:])  # results/PRESET/...
        if file.relative_to(results.root).parts[0] in unread or not file.exists():
            continue
        if (found := md5(file)) != value:
            return (
                f"{results.label(file)} is not what {record.stage} made "
                f"(md5 {found}, {results.label(record.file)} has {value})"
            )
    return ""


def _names(record: Record, file: Path, label: str) -> bool:
    """Whether a stage run left a file: as an output that it recorded, or as the record itself."""
    return record.file == file or _recorded(record, label) is not None


def _recorded(record: Record | None, label: str) -> str | None:
    outputs = (record.get("outputs") if record else None) or {}
    return next(
        (str(value) for path, value in outputs.items() if path == label or path.endswith("/" + label)), None
    )
