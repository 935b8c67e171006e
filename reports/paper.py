"""Access to `paper.yaml`, the only place with the paper's numbers."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import yaml


def command(preset: str) -> str:
    """What runs a preset from data to report."""
    return f"make reproduce PRESET={preset}"


class Paper:
    """The paper's tables and claims by name. A number that is not known to us is None."""

    def __init__(self, path: Path = Path(__file__).parent / "paper.yaml") -> None:
        self.content: dict[str, Any] = yaml.safe_load(path.read_text())

    def table(self, name: str) -> dict[str, Any]:
        return self.content["tables"][name]

    def row(self, table: str, **wanted: Any) -> dict[str, Any]:
        """The first row with these cells; empty if there is none."""
        rows = self.table(table)["rows"]
        return next((row for row in rows if all(row.get(k) == v for k, v in wanted.items())), {})

    def decimals(self, quantity: str) -> int:
        """How many the paper prints."""
        return int(self.content["decimals"][quantity])

    @cached_property
    def claims(self) -> dict[str, dict[str, Any]]:
        return {claim["id"]: claim for claim in self.content["claims"]}

    @cached_property
    def findings(self) -> dict[str, dict[str, Any]]:
        """Questions beyond the paper, in the form of its claims."""
        return {finding["id"]: finding for finding in self.content["findings"]}

    def tolerance(self, claim: str, name: str) -> tuple[float, str]:
        """(value, reason)."""
        entry = self.claims[claim]["tolerances"][name]
        return float(entry["value"]), str(entry["reason"])

    def speedup(self, size: str) -> float | None:
        """Table 1's seconds/image of the teacher over those of the student, of one size."""
        teacher, student = (
            self.row("table1", size=size, role=role).get("seconds_per_image")
            for role in ("teacher", "student")
        )
        return teacher / student if teacher and student else None

    def distance_ratio(self, size: str) -> float | None:
        """Table 1's FID of the student over the teacher's, of one size."""
        teacher, student = (
            self.row("table1", size=size, role=role).get("fid") for role in ("teacher", "student")
        )
        return student / teacher if teacher and student else None

    def gain(self, metric: str) -> float | None:
        """Table 2: after reward fine-tuning minus before."""
        before, after = (self.row("table2", role=role).get(metric) for role in ("student", "reinforced"))
        return None if before is None or after is None else after - before

    def needs(self, preset: str) -> str:
        """What a full-scale preset needs that a small machine lacks."""
        return str(self.content["full_scale"]["needs"][preset])

    @property
    def guidance_order(self) -> list[float]:
        """Table 3's guidance scales, the nearest by FID first."""
        rows = self.table("table3")["rows"]
        return [float(row["guidance"]) for row in sorted(rows, key=lambda row: row["fid"])]

    @property
    def images_to_decide(self) -> int:
        """How many an independent judge must rank at the least."""
        return int(self.content["independent_judge"]["images"])

    @property
    def best_guidance(self) -> float:
        return float(self.content["best_guidance"])

    @property
    def teacher_steps(self) -> int:
        return int(self.content["teacher_diffusion_steps"])
