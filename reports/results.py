"""One preset's result files, read as they are: whatever is missing or damaged is listed, never fatal."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from reports.errors import UserError
from reports.formats import (
    DAMAGE,
    Metric,
    Record,
    Skipped,
    Speed,
    Watch,
    read_curve,
    read_json,
    read_metrics,
    read_record,
    read_rows,
    read_settings,
    read_speed,
    read_watch,
)
from reports.roles import REAL, Role, Roles

T = TypeVar("T")
INPAINTED = "inpainted-"  # + variant: scores of held-out images of which it filled in parts


@dataclass
class Results:
    """The files of results/PRESET, read on first use; `settings` is settings.json, `problems` what could not be read."""

    root: Path
    preset: str
    settings: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @classmethod
    def open(cls, preset: str, root: Path) -> Results:
        """Read `root` as results of `preset`; a missing folder is the user's mistake, an incomplete one is not."""
        if not root.is_dir():
            raise UserError(
                f"{root} is missing: run `make reproduce PRESET={preset}` first, or give the folder that has the results"
            )
        results = cls(root.resolve(), preset)
        results.settings = results.read(results.root / "settings.json", read_settings) or {}
        return results

    # --- files ----------------------------------------------------------------------

    def label(self, path: Path) -> str:
        """A path for people and evidence: results/PRESET/..., never absolute."""
        base = self.root.parent.parent
        return path.relative_to(base).as_posix() if path.is_relative_to(base) else path.name

    def read(self, path: Path, reader: Callable[[Path], T], required: bool = True) -> T | None:
        """What `reader` makes of a file; None and a line in `problems` if it is missing (unless not required) or damaged."""
        if not path.is_file():
            if required:
                self.problems.append(f"{self.label(path)} is missing")
            return None
        try:
            return reader(path)
        except DAMAGE as error:
            self.problems.append(
                f"{self.label(path)} is damaged: {type(error).__name__} {error}".splitlines()[0]
            )
            return None

    def _folder(self, name: str, suffix: str) -> list[Path]:
        return sorted((self.root / name).glob(f"*{suffix}"), key=lambda path: natural(path.stem))

    # --- content ----------------------------------------------------------------------

    @cached_property
    def metrics(self) -> dict[str, dict[str, Metric]]:
        """{variant: {metric name: row}}."""
        read = {path.stem: self.read(path, read_metrics) for path in self._folder("metrics", ".json")}
        unscored = [variant for variant in self.variants if variant not in read]
        if not self.measures_quality:
            return {}
        if not read:
            self.problems.append("metrics/ is empty: no variant has been evaluated")
        elif unscored:
            self.problems.append(f"not evaluated although in the preset: {', '.join(unscored)}")
        return {variant: rows for variant, rows in read.items() if rows is not None}

    @cached_property
    def _timings(self) -> tuple[list[Speed], list[Skipped]]:
        return self.read(self.root / "speed.json", read_speed) or ([], [])

    @property
    def speed(self) -> list[Speed]:
        return self._timings[0]

    @property
    def skipped(self) -> list[Skipped]:
        """What the speed stage could not time, and why."""
        return self._timings[1]

    @cached_property
    def records(self) -> list[Record]:
        read = [self.read(path, read_record) for path in self._folder("records", ".json")]
        if not read:
            self.problems.append("records/ is empty: no stage has left a record")
        return sorted((r for r in read if r), key=lambda r: (str(r.get("started", "")), r.stage))

    @cached_property
    def judges(self) -> list[dict[str, Any]]:
        return self.read(self.root / "judges" / "quality.json", read_rows, self.measures_quality) or []

    @cached_property
    def calibration(self) -> list[dict[str, Any]]:
        """Rows {check, expected, measured, tolerance, passed}; empty where the preset calibrates nothing."""
        return self.read(self.root / "calibration.json", read_rows, required=False) or []

    @cached_property
    def curves(self) -> dict[str, dict[str, list[float]]]:
        """{file stem: {column: values}}; an absent value is nan."""
        read = {path.stem: self.read(path, read_curve) for path in self._folder("curves", ".csv")}
        return {name: columns for name, columns in read.items() if columns}

    @cached_property
    def watches(self) -> dict[str, Watch]:
        """{file stem, MODEL-sSEED: what the judges said during reward fine-tuning}."""
        read = {path.stem: self.read(path, read_watch) for path in self._folder("watch", ".json")}
        return {name: watch for name, watch in read.items() if watch}

    @cached_property
    def classes(self) -> list[str]:
        names = self.read(self.root / "data" / "classes.json", read_json, self.measures_quality)
        return [str(name) for name in names or []]

    @cached_property
    def roles(self) -> Roles:
        """Which variant plays which part; no role is filled where there are no settings."""
        return Roles(self.settings)

    @property
    def variants(self) -> dict[str, dict[str, Any]]:
        """The preset's variants with their settings; empty where settings.json is not there."""
        return self.roles.variants

    # --- questions ----------------------------------------------------------------------

    @property
    def measures_quality(self) -> bool:
        """Whether there are images at all; a preset without data (known to be so) measures time alone."""
        return (
            not self.settings or bool(self.settings.get("prepare")) or bool(self._folder("metrics", ".json"))
        )

    @property
    def distance_untrusted(self) -> list[str]:
        """Names of failed calibration checks; while there is one, no Frechet distance of the report can be trusted."""
        return [str(row.get("check")) for row in self.calibration if row.get("passed") is False]

    def metric(self, variant: str, name: str) -> Metric | None:
        return self.metrics.get(variant, {}).get(name)

    def scores(self, role: Role) -> dict[str, Metric]:
        """{metric name: row} of the one variant with this role; empty where there is none or it is not evaluated."""
        return next((self.metrics[name] for name in self.roles.named(role) if name in self.metrics), {})

    def inpainted(self, variant: str) -> str:
        """The name under which the images that a variant in-painted are scored."""
        return f"{INPAINTED}{variant}"

    @property
    def inpainting_teacher(self) -> str | None:
        """The teacher whose in-painted held-out images were scored; the one of most diffusion steps."""
        names = self.roles.teachers.values()
        return next((name for name in names if self.inpainted(name) in self.metrics), None)

    @cached_property
    def titles(self) -> dict[str, str]:
        """{metric name: title for people} of every metric of any variant, in the order of the files."""
        return {name: row.title for rows in self.metrics.values() for name, row in rows.items()}

    def title(self, name: str) -> str:
        """A metric for people; its name where no variant has it."""
        return self.titles.get(name, name.replace("_", " "))

    def real_value(self, name: str) -> float | None:
        """What held-out real images score, or else what the protocol notes of the real training images."""
        if row := self.metric(REAL, name):
            return row.estimate.value
        noted = (rows[name].protocol.get("real") for rows in self.metrics.values() if name in rows)
        return next((float(value) for value in noted if value is not None), None)

    def device(self, row: Speed) -> str:
        """What a row was timed on; an accelerator that the row does not name, by the name that a stage's record has."""
        if row.device != "cuda":
            return row.device
        machines = (r.get("machine") or {} for r in self.records if r.stage.startswith(("speed", "latency")))
        return next((str(m["gpu"]) for m in machines if m.get("gpu")), row.device)

    def ar_steps(self, variant: str) -> int | None:
        steps = self.variants.get(variant, {}).get("ar_steps")
        return int(steps) if isinstance(steps, int) else None


def natural(name: str) -> list[Any]:
    """Sort key in which teacher-4 stands before teacher-30."""
    return [
        (1, float(part), "") if part[:1].isdigit() else (0, 0.0, part)
        for part in re.split(r"(\d+(?:\.\d+)?)", name)
        if part
    ]


def run_of(stem: str) -> tuple[str, int | None]:
    """(model, seed) of a file MODEL-sSEED; the seed is None where the file is of no single seed."""
    match = re.fullmatch(r"(.+)-s(\d+)", stem)
    return (match[1], int(match[2])) if match else (stem, None)
