"""The cells of the tables: a measured or printed number with where it comes from."""

from __future__ import annotations

from typing import Any

from reports.claims.compare import DISTANCE
from reports.formats import Metric, Speed
from reports.intervals import Estimate, ratio
from reports.models import parameters_million
from reports.paper import Paper
from reports.provenance import Provenance
from reports.regimes import single_image, size_of
from reports.results import Results
from reports.roles import Role
from reports.scope import scope_of
from reports.tables.table import Cell, plain


class Cells:
    """Cells from one preset's results and from the paper; `provenance` collects the files that they quote."""

    def __init__(self, results: Results, paper: Paper, provenance: Provenance) -> None:
        self.results, self.paper, self.provenance, self.roles = results, paper, provenance, results.roles
        self.scope = scope_of(results, paper)
        self.size = self.scope.size or "B"  # a smaller model is set beside the paper's smallest

    def metric(self, variant: str, name: str) -> Cell:
        row = self.results.metric(variant, name)
        return self.cell(row) if row else plain(None)

    def cell(self, row: Metric) -> Cell:
        note = f"judge {row.judge}" if row.judge else ""
        return Cell(row.estimate, self.provenance.source(row.file), f"{note}, n={row.n}" if row.n else note)

    def printed(self, row: dict[str, Any], quantity: str, source: str = "") -> Cell:
        """A number of the paper, with the decimals that it prints."""
        value = row.get(quantity)
        return plain(value, source) if value is None else plain(value, source, self.paper.decimals(quantity))

    def seconds(self, variant: str, size: str | None = None) -> Cell:
        row = single_image(self.results, variant, size)
        if row is None:
            return plain(None)
        return Cell(row.estimate, self.provenance.source(row.file), self._timed(row, variant))

    def _timed(self, row: Speed, variant: str) -> str:
        parts = [f"batch {row.batch}, {row.mode}", f"K={row.ar_steps}", row.dtype, self.results.device(row)]
        borrowed = "" if row.variant == variant else f"timed as {row.variant}, which runs the same steps"
        return ", ".join(part for part in [*parts, borrowed] if part)

    def parameters(self, variant: str) -> Cell:
        found = parameters_million(self.results, variant)
        if found is None:
            return plain(None)
        return Cell(Estimate(found[0]), self.provenance.source(found[1]))

    def speedup(self, variant: str, size: str | None = None) -> Cell:
        reference = self.roles.teachers.get(self.paper.teacher_steps)
        teacher = single_image(self.results, reference, size) if reference else None
        row = single_image(self.results, variant, size)
        if teacher is None or row is None or _setting(teacher) != _setting(row):
            return plain(None)
        times = Estimate(1.0) if row is teacher else ratio(teacher.estimate, row.estimate)
        return Cell(times, self.provenance.source(row.file), self._timed(row, variant))

    def evaluations(self, variant: str) -> Cell:
        """Head evaluations for an image: AR steps x diffusion steps, twice with the guidance's second branch."""
        steps = self.results.ar_steps(variant)
        settings = self.results.variants.get(variant, {})
        if steps is None:
            return plain(None)
        calls: int | None = steps * settings["diffusion_steps"]
        if settings.get("last_diffusion_steps"):  # fewer at each AR step: as they were counted in a run
            rows = [row for row in self.results.speed if row.variant == variant]
            calls = next((row.head_evaluations for row in rows if row.head_evaluations), None)
        branches = 1 if settings["guidance"] == 1 else 2
        images = settings.get("best_of", 1)
        return plain(None if calls is None else calls * branches * images, "counted from the settings")

    def distance(self) -> str:
        judge = next((rows[DISTANCE].judge for rows in self.results.metrics.values() if DISTANCE in rows), "")
        return f"Fréchet distance ({judge})" if judge else "Fréchet distance"

    def title(self, name: str) -> str:
        return self.distance() if name == DISTANCE else self.results.title(name)

    @staticmethod
    def role(row: Metric) -> str:
        """What a metric is to reward fine-tuning: a measure of the whole set is what the gain may cost."""
        return row.judge_role or "price"

    def role_in_table_1(self, variant: str) -> Role | None:
        """The role whose row of the paper's Table 1 stands beside a variant: the student's, or the paper's teacher's."""
        role = self.roles.of(variant)
        is_papers = variant == self.roles.teachers.get(self.paper.teacher_steps)
        return role if role is Role.STUDENT or is_papers else None

    def known(self, variant: str) -> bool:
        return variant in self.results.metrics or any(row.variant == variant for row in self.results.speed)


def _setting(row: Speed) -> tuple[int, str, str, str, str | None]:
    """What two timings must share for their ratio to be the method's."""
    return row.ar_steps, row.mode, row.dtype, row.device, size_of(row.model)
