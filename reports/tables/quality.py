"""The paper's three tables with ours beside them, and every variant against every metric."""

from __future__ import annotations

from typing import Any

from reports.claims.compare import ACCURACY, CLASS_DISTANCE, DISTANCE, DIVERSITY, INCEPTION_SCORE
from reports.formats import Metric
from reports.intervals import difference
from reports.methods import Family, family, frontier, of_family, settings_timed
from reports.regimes import single_image, timed
from reports.roles import REAL, Role
from reports.tables.cells import Cells
from reports.tables.table import Cell, Direction, Table, plain

UNRANKED = (REAL,)  # the floor, and no model


class QualityTables(Cells):
    """One method a table."""

    def system(self) -> Table:
        """Table 1."""
        longer = self._longer() if self.scope.is_full else []
        teachers = [*longer, *self.roles.teachers.values()]
        wanted = [REAL, *teachers, *self.roles.named(Role.STUDENT, Role.REINFORCED)]
        shown = [v for v in wanted if self.known(v)] if self.results.measures_quality else []
        beside = dict.fromkeys(longer, "mar_repository")
        return Table.of(
            "table1",
            f"Table 1. Quality and speed, ours beside the paper's {self.size} row ({self._setting()}).",
            [self._system_row(v, beside.get(v, "table1")) for v in shown],
            {self.distance(): "min", "IS": "max", "s/image": "min"},
            [
                "s/image (seconds for an image) and speed-up: batch 1, eager, against the "
                f"{self.paper.teacher_steps}-step teacher with the same number of AR steps. Section “At what cost?” has every "
                "other regime.",
                "NFE: head evaluations for one image, both branches of guidance counted.",
                *self._borrowed(shown),
            ],
            UNRANKED,
        )

    def _borrowed(self, variants: list[str]) -> list[str]:
        """A note for each variant that was not timed itself."""
        timed = {v: row.variant for v in variants if (row := single_image(self.results, v))}
        return [f"{v} runs the same steps as {as_} and has its time." for v, as_ in timed.items() if v != as_]

    def _longer(self) -> list[str]:
        """The paper's teacher with the AR steps of MAR's own table, but otherwise as it is."""
        teacher = self.roles.teachers.get(self.paper.teacher_steps)
        steps = self.paper.table("mar_repository")["ar_steps"]
        alike = self.roles.differing_in("ar_steps", teacher) if teacher else []
        return [v for v in alike if v != teacher and self.results.ar_steps(v) == steps]

    def _system_row(self, variant: str, table: str) -> dict[str, Any]:
        """Beside the row of `table` that has this size and, in Table 1, the variant's role."""
        role = self.role_in_table_1(variant)
        theirs = self.paper.row(table, size=self.size, **({"role": role} if table == "table1" else {}))
        source = f"{self.paper.table(table)['source']}, row {theirs.get('model')}"
        return {
            "variant": variant,
            self.distance(): self.metric(variant, DISTANCE),
            "paper FID": self.printed(theirs, "fid", source),
            "IS": self.metric(variant, INCEPTION_SCORE),
            "paper IS": self.printed(theirs, INCEPTION_SCORE, source),
            "s/image": self.seconds(variant),
            "paper s/image": self.printed(theirs, "seconds_per_image", source),
            "speed-up": self.speedup(variant),
            "paper speed-up": plain(
                self.paper.speedup(self.size) if role is Role.STUDENT else None,
                "computed from Table 1's seconds/image",
            ),
            "parameters, million": self.parameters(variant),
            "NFE": self.evaluations(variant),
        }

    def _setting(self) -> str:
        if self.scope.is_full:
            return "ImageNet, and the same kind of judge"
        return "ImageNet there, a proxy here: compare ratios, not values"

    def reward(self) -> Table:
        """Table 2."""
        before, after = self.results.scores(Role.STUDENT), self.results.scores(Role.REINFORCED)
        rows = {name: row for name, row in {**before, **after}.items() if row.judge_role}
        judges = sorted(rows, key=lambda name: rows[name].is_training_reward)
        return Table.of(
            "table2",
            "Table 2. Judges before and after reward fine-tuning, ours and the paper's (MARVAL-H).",
            [self._reward_row(rows[name], before.get(name), after.get(name)) for name in judges],
            notes=[
                "Gain: after minus before with a 95% interval, over paired seeds where there are at least two."
            ],
        )

    def _reward_row(self, row: Metric, before: Metric | None, after: Metric | None) -> dict[str, Any]:
        gain = difference(after.estimate, before.estimate) if before and after else None
        source = self.paper.table("table2")["source"]
        theirs = [self.paper.row("table2", role=role) for role in (Role.STUDENT, Role.REINFORCED)]
        return {
            "judge": f"{row.title} ({row.judge})",
            "role": self.role(row),
            "before": self.cell(before) if before else plain(None),
            "after": self.cell(after) if after else plain(None),
            "gain": Cell(gain, self.provenance.source(row.file)) if gain else plain(None),
            "paper before": self.printed(theirs[0], row.name, source),
            "paper after": self.printed(theirs[1], row.name, source),
            "paper gain": self._papers_gain(row.name, source),
        }

    def _papers_gain(self, name: str, source: str) -> Cell:
        gain = self.paper.gain(name)
        note = f"difference of two cells of {source}"
        return plain(None) if gain is None else plain(gain, note, self.paper.decimals(name))

    def guidance(self) -> Table:
        """Table 3."""
        grid = self.roles.guidance_grid
        directions: dict[str, Direction] = {self.title(DISTANCE): "min", self.title(INCEPTION_SCORE): "max"}
        return Table.of(
            "table3",
            "Table 3. Guidance scale w in distillation, ours and the paper's (MARVAL-B); w = 1 is no guidance.",
            [self._guidance_row(w, v) for w, v in grid.items() if v in self.results.metrics],
            directions | {"paper FID": "min", "paper IS": "max"},
        )

    def _guidance_row(self, scale: float, variant: str) -> dict[str, Any]:
        theirs, source = self.paper.row("table3", guidance=scale), self.paper.table("table3")["source"]
        names = (DISTANCE, INCEPTION_SCORE, DIVERSITY, ACCURACY)
        return {
            "w": f"{scale:g}",
            "variant": variant,
            **{self.title(name): self.metric(variant, name) for name in names},
            "paper FID": self.printed(theirs, "fid", source),
            "paper IS": self.printed(theirs, INCEPTION_SCORE, source),
        }

    def ablations(self) -> Table:
        """All variants x all metrics."""
        names = list(self.results.titles)
        directions: dict[str, Direction] = {}
        for rows in self.results.metrics.values():
            for name, row in rows.items():
                if row.higher_is_better is not None:
                    directions[self.title(name)] = "max" if row.higher_is_better else "min"
        return Table.of(
            "ablations",
            "Every variant by every metric.",
            [{"variant": v} | {self.title(n): self.metric(v, n) for n in names} for v in self._ordered()],
            directions,
            [
                "Within-class variance has no better end: it is compared with that of the real images (row real)."
            ]
            if DIVERSITY in names
            else [],
            UNRANKED,
        )

    def methods(self) -> Table:
        """Every way to make images, with its quality and its seconds in every timed regime."""
        regimes = settings_timed(self.results)
        best = {regime: frontier(self.results, DISTANCE, *regime) for regime in regimes}
        rows = [self._method_row(v, best) for v in of_family(self.results, *Family) if self.known(v)]
        return Table.of(
            "methods",
            "Every method: quality, and milliseconds for an image in each regime.",
            rows if self.results.measures_quality and regimes else [],
            {self.distance(): "min", self.title(CLASS_DISTANCE): "min", self.title("recall"): "max"},
            [
                "Pareto: the regimes in which no other method is both faster and nearer by the Fréchet distance.",
                "NFE: head evaluations for one image, both branches of guidance and every image drawn counted.",
            ],
        )

    def _method_row(self, variant: str, best: dict[tuple[int, str], list[str]]) -> dict[str, Any]:
        of = [f"batch {batch}, {mode}" for (batch, mode), names in best.items() if variant in names]
        return {
            "variant": variant,
            "method": str(family(self.results, variant)),
            self.distance(): self.metric(variant, DISTANCE),
            **{self.title(n): self.metric(variant, n) for n in (CLASS_DISTANCE, "recall", DIVERSITY)},
            **{f"ms, batch {b}, {mode}": self._milliseconds(variant, b, mode) for b, mode in best},
            "NFE": self.evaluations(variant),
            "Pareto": "; ".join(of),
        }

    def _milliseconds(self, variant: str, batch: int, mode: str) -> Cell:
        row = timed(self.results, variant, batch, mode)
        if row is None:
            return plain(None)
        note = "" if row.variant == variant else f"timed as {row.variant}, which runs the same steps"
        return Cell(row.estimate.mapped(lambda x: 1000 * x), self.provenance.source(row.file), note)

    def _ordered(self) -> list[str]:
        """Evaluated variants: real images, then in the settings' order, then any that the settings do not know."""
        wanted = [REAL, *self.results.variants, *self.results.metrics]
        return [v for v in dict.fromkeys(wanted) if v in self.results.metrics]
