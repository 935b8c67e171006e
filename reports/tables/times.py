"""Time for an image: the speed-up in every regime and what it is made of, every timing, and the machine's floor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reports.formats import SHARES, Speed
from reports.intervals import Estimate, ratio
from reports.regimes import Regime, regimes, single_image, size_of, sizes
from reports.roles import Role
from reports.split import share_of_floor
from reports.tables.cells import Cells
from reports.tables.table import Cell, Table, plain, without_common


class TimeTables(Cells):
    """One method a table."""

    def times(self) -> Table:
        """Table 1's column of seconds, where models of the paper's sizes were timed."""
        found = [
            self._size_row(size, variant, row)
            for size in sizes(self.results)
            for variant in [*self.roles.teachers.values(), *self.roles.named(Role.STUDENT)]
            if (row := single_image(self.results, variant, size))
        ]
        rows, common = without_common(found)
        return Table.of(
            "table1-time",
            "Table 1, seconds for an image: ours beside the paper's.",
            rows,
            notes=[
                *common,
                f"One image, batch 1, eager. The paper: {self.paper.table('table1')['setting']}.",
            ],
        )

    def _size_row(self, size: str, variant: str, row: Speed) -> dict[str, Any]:
        student = self.roles.of(variant) is Role.STUDENT
        theirs = self.paper.row("table1", size=size, role=self.role_in_table_1(variant))
        name = self.paper.content["paper" if student else "teacher_paper"]["name"]
        source = f"{self.paper.table('table1')['source']}, row {theirs.get('model')}"
        return {
            "model": f"{name}-{size}",
            "AR steps": plain(row.ar_steps),
            "diffusion steps": plain(row.diffusion_steps),
            "seconds/image": self.seconds(variant, size),
            "paper seconds/image": self.printed(theirs, "seconds_per_image", source),
            "speed-up": self.speedup(variant, size),
            "paper speed-up": plain(self.paper.speedup(size) if student else None, "computed from Table 1"),
            "parameters, million (paper)": self.printed(theirs, "parameters_million", source),
            "device": self.results.device(row),
        }

    def speedups(self) -> Table:
        """Teacher over student wherever both were timed alike."""
        found = regimes(self.results, self.paper.teacher_steps)
        notes = [
            "Each row compares the same device, batch, AR steps, mode and number format. Intervals are 95%."
        ]
        if any(r.arithmetic for r in found):
            notes.append(
                "The speed-up is the product of its factors. Arithmetic: the teacher's floating-point operations over the "
                "student's. Weights read again: what the floors' ratio adds to that. Launches and waiting: what neither explains."
            )
        caption = f"Speed-up of one step over {self.paper.teacher_steps} diffusion steps, regime by regime."
        traffic = any(r.has_traffic for r in found)
        rows, common = without_common([self._speedup_row(r, traffic) for r in found])
        return Table.of("speedups", caption, rows, notes=[*common, *notes])

    def _speedup_row(self, r: Regime, traffic: bool) -> dict[str, Any]:
        return {
            "regime": r.short + (" (the claim's)" if r.is_claimed else ""),
            "model": _model(r.student),
            "AR steps": plain(r.student.ar_steps),
            "teacher, ms/image": self._milliseconds(r.teacher.estimate, r.teacher.file),
            "student, ms/image": self._milliseconds(r.student.estimate, r.student.file),
            "speed-up": Cell(r.speedup, self.provenance.source(r.student.file)),
            "arithmetic": plain(r.arithmetic),
            "weights read again": plain(r.traffic if traffic else None),
            "launches and waiting": plain(r.overhead),
            "numbers": r.student.dtype,
            "device": r.device,
        }

    def timings(self) -> Table:
        """Every timed row, then those that could not be timed."""
        rows, common = without_common([self._timing_row(row) for row in self.results.speed])
        untimed = [
            f"{r.variant}, batch {r.batch}, {r.mode} ({r.model}): not timed, {r.reason}."
            for r in self.results.skipped
        ]
        return Table.of("timings", "Every timing.", rows, notes=[*common, *untimed])

    def _timing_row(self, row: Speed) -> dict[str, Any]:
        scale, unit = self._unit()
        return self._named(row) | {
            "AR steps": plain(row.ar_steps),
            "diffusion steps": plain(row.diffusion_steps),
            "ms/image": self._milliseconds(row.estimate, row.file),
            "images/s": self._cell(ratio(Estimate(1.0, 1.0, 1.0), row.estimate), row),
            "share of the floor, %": self._share(row),
            unit: self._achieved(row, scale),
            "peak memory, MB": plain(_whole(row.peak_memory_mb)),
            "numbers": row.dtype,
            "device": self.results.device(row),
        }

    def roofline(self) -> Table:
        """Achieved speed beside the machine's limit, teacher and student of each regime, where floors or FLOPs were counted."""
        found = [
            r
            for r in regimes(self.results, self.paper.teacher_steps)
            if r.student.flops or r.student.floor_seconds
        ]
        rows, common = without_common([self._floor_row(r, *self._unit()) for r in found])
        note = "Share of the floor: the least time over the measured time; 100% would be the machine's limit."
        rates = [
            f"The machine's rates: {s}." for s in dict.fromkeys(r.student.floor_source for r in found) if s
        ]
        return Table.of(
            "roofline", "Achieved against the machine's floor.", rows, notes=[*common, note, *rates]
        )

    def _floor_row(self, r: Regime, scale: float, unit: str) -> dict[str, Any]:
        columns: dict[str, Any] = {
            "regime": r.short,
            "model": _model(r.student),
            "AR steps": plain(r.student.ar_steps),
        }
        for name, row in (("teacher", r.teacher), ("student", r.student)):
            columns[f"{name}: floor, ms/image"] = plain(
                row.floor_seconds * 1000 if row.floor_seconds else None
            )
            columns[f"{name}: share of it, %"] = self._share(row)
            columns[f"{name}: {unit}"] = self._achieved(row, scale)
        return columns | {"numbers": r.student.dtype, "device": r.device}

    def _share(self, row: Speed) -> Cell:
        share = share_of_floor(row)
        return self._cell(None if share is None else Estimate(100 * share), row)

    def _achieved(self, row: Speed, scale: float) -> Cell:
        return self._cell(Estimate(row.flops / row.estimate.value / scale) if row.flops else None, row)

    def _unit(self) -> tuple[float, str]:
        """One unit for all speeds."""
        fastest = max((row.flops / row.estimate.value for row in self.results.speed if row.flops), default=0)
        return (1e12, "TFLOP/s") if fastest >= 5e11 else (1e9, "GFLOP/s")

    def shares(self) -> Table:
        """Component shares of every row that has them."""
        rows = [row for row in self.results.speed if row.shares]
        parts = [part for part in SHARES if any(part in row.shares for row in rows)]
        return Table.of(
            "shares",
            "Share of an image's time by component, %; the rest is between them.",
            [
                self._named(row)
                | {part: plain(100 * row.shares[part] if part in row.shares else None) for part in parts}
                for row in rows
            ],
        )

    def _named(self, row: Speed) -> dict[str, Any]:
        return {
            "variant": row.variant,
            "model": _model(row),
            "batch": plain(row.batch),
            "mode": row.mode,
        }

    def _milliseconds(self, estimate: Estimate, file: Path) -> Cell:
        return Cell(estimate.mapped(lambda x: x * 1000), self.provenance.source(file))

    def _cell(self, estimate: Estimate | None, row: Speed) -> Cell:
        return Cell(estimate, self.provenance.source(row.file)) if estimate else plain(None)


def _model(row: Speed) -> str:
    """A model by its name where that says more than the weights' name, which the variant says too."""
    size = size_of(row.model)
    return f"MAR-{size}" if size else row.model if row.model.startswith("mar-") else ""


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)
