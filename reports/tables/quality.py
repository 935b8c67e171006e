"""The paper's three tables with ours beside them, and every variant against every metric."""

from __future__ import annotations

from typing import Any

from reports.claims.compare import DISTANCE
from reports.claims.speedup import PLAIN_MODES
from reports.intervals import Estimate, difference, ratio
from reports.models import parameters_million
from reports.paper import Paper
from reports.provenance import Provenance
from reports.results import Metric, Results, Speed
from reports.tables.table import Cell, Direction, Table, plain
from reports.wording import METRICS, metric_title

UNRANKED = ("real",)  # the floor, and no model


class QualityTables:
    """Builds tables from one preset's results; `provenance` collects the files that they quote."""

    def __init__(self, results: Results, paper: Paper, provenance: Provenance) -> None:
        self.results, self.paper, self.provenance = results, paper, provenance
        self.size = results.size or "B"  # a smaller model is set beside the paper's smallest

    # --- cells ----------------------------------------------------------------------

    def metric(self, variant: str, name: str) -> Cell:
        row = self.results.metric(variant, name)
        return self.cell(row) if row else plain(None)

    def cell(self, row: Metric) -> Cell:
        note = f"judge {row.judge}" if row.judge else ""
        return Cell(row.estimate, self.provenance.source(row.file), f"{note}, n={row.n}" if row.n else note)

    def told(self, row: dict[str, Any], quantity: str, source: str = "") -> Cell:
        """A number of the paper, with the decimals that it prints."""
        value = row.get(quantity)
        return plain(value, source) if value is None else plain(value, source, self.paper.decimals(quantity))

    def seconds(self, variant: str) -> Cell:
        row = single_image(self.results, variant)
        if row is None:
            return plain(None)
        return Cell(
            row.estimate,
            self.provenance.source(row.file),
            f"batch 1, {row.mode}, K={row.ar_steps}, {row.device}",
        )

    def parameters(self, variant: str) -> Cell:
        found = parameters_million(self.results, variant)
        if found is None:
            return plain(None)
        return Cell(Estimate(found[0]), self.provenance.source(found[1]))

    def speedup(self, variant: str) -> Cell:
        teacher = single_image(self.results, f"teacher-{self.paper.teacher_steps}")
        row = single_image(self.results, variant)
        if (
            teacher is None
            or row is None
            or (teacher.ar_steps, teacher.mode, teacher.device) != (row.ar_steps, row.mode, row.device)
        ):
            return plain(None)
        source = self.provenance.source(row.file)
        return Cell(
            Estimate(1.0) if row is teacher else ratio(teacher.estimate, row.estimate),
            source,
            f"batch 1, {row.mode}",
        )

    def evaluations(self, variant: str) -> Cell:
        """Head evaluations for an image: AR steps x diffusion steps, twice with the guidance's second branch."""
        steps = self.results.ar_steps(variant)
        settings = self.results.variants.get(variant, {})
        if steps is None:
            return plain(None)
        guided = settings.get("diffusion_steps") is not None and float(settings.get("guidance") or 1) != 1
        return plain(
            steps * int(settings.get("diffusion_steps") or 1) * (2 if guided else 1),
            "counted from the preset",
        )

    # --- tables ----------------------------------------------------------------------

    def system(self) -> Table:
        """Table 1."""
        teachers = list(self.results.teachers().values())
        variants = [v for v in ("real", *teachers, "marval", "marval-rl") if self._known(v)]
        roles = {f"teacher-{self.paper.teacher_steps}": "teacher", "marval": "student"}
        return Table.of(
            "table1",
            f"Table 1. Quality and speed, ours beside the paper's {self.size} row ({self._setting()}).",
            [self._system_row(v, roles.get(v)) for v in variants],
            {self._distance(): "min", "IS": "max", "seconds/image": "min"},
            [
                "seconds/image and speed-up: one image, batch 1, without optimisation, against the 100-step teacher with the "
                "same number of AR steps. Section “At what cost?” has every other regime.",
                "NFE: head evaluations for one image, both branches of guidance counted.",
            ],
            UNRANKED,
        )

    def _system_row(self, variant: str, role: str | None) -> dict[str, Any]:
        told = self.paper.row("table1", size=self.size, role=role) if role else {}
        source = f"{self.paper.table('table1')['source']}, row {told.get('model')}"
        return {
            "variant": variant,
            self._distance(): self.metric(variant, DISTANCE),
            "paper FID": self.told(told, "fid", source),
            "IS": self.metric(variant, "inception_score"),
            "paper IS": self.told(told, "inception_score", source),
            "seconds/image": self.seconds(variant),
            "paper seconds/image": self.told(told, "seconds_per_image", source),
            "speed-up": self.speedup(variant),
            "paper speed-up": plain(
                self.paper.speedup(self.size) if role == "student" else None,
                "computed from Table 1's seconds/image",
            ),
            "parameters, million": self.parameters(variant),
            "NFE": self.evaluations(variant),
        }

    def _setting(self) -> str:
        return (
            "same images and judge"
            if self.results.is_full_scale
            else "ImageNet there, a proxy here: compare ratios, not values"
        )

    def _distance(self) -> str:
        judge = next((rows[DISTANCE].judge for rows in self.results.metrics.values() if DISTANCE in rows), "")
        return f"Fréchet distance ({judge})" if judge else "Fréchet distance"

    def reward(self) -> Table:
        """Table 2."""
        judges = [
            m
            for m in ("clip_score", "image_reward", "pick_score")
            if self.results.metric("marval-rl", m) or self.results.metric("marval", m)
        ]
        return Table.of(
            "table2",
            "Table 2. Judges before and after reward fine-tuning, ours and the paper's (MARVAL-H).",
            [self._reward_row(name) for name in judges],
            notes=[
                "Gain: after minus before with a 95% interval, over paired seeds where there are at least two."
            ],
        )

    def _reward_row(self, name: str) -> dict[str, Any]:
        before, after = (self.results.metric(v, name) for v in ("marval", "marval-rl"))
        row = before or after
        assert row is not None  # _reward_row is asked only for judges that one of the two has
        gain = difference(after.estimate, before.estimate) if before and after else None
        source = self.paper.table("table2")["source"]
        told = [self.paper.row("table2", role=role) for role in ("student", "reinforced")]
        return {
            "judge": f"{metric_title(name)} ({row.judge})",
            "role": self._role(row),
            "before": self.metric("marval", name),
            "after": self.metric("marval-rl", name),
            "gain": Cell(gain, self.provenance.source(row.file)) if gain else plain(None),
            "paper before": self.told(told[0], name, source),
            "paper after": self.told(told[1], name, source),
            "paper gain": plain(
                self.paper.gain(name), f"difference of two cells of {source}", self.paper.decimals(name)
            )
            if self.paper.gain(name)
            else plain(None),
        }

    def hacking(self) -> Table:
        """What reward fine-tuning did to the training reward, to unseen judges, and to what it may cost."""
        before, after = (self.results.metrics.get(v, {}) for v in ("marval", "marval-rl"))
        names = [n for n in METRICS if n in before and n in after]
        rows = [
            {
                "quantity": self._title(name),
                "role": self._role(before[name]),
                "before": self.cell(before[name]),
                "after": self.cell(after[name]),
                "change": Cell(
                    difference(after[name].estimate, before[name].estimate),
                    self.provenance.source(after[name].file),
                ),
                "real images": plain(self.results.real_value(name)),
            }
            for name in sorted(names, key=lambda name: self._role(before[name]), reverse=True)
        ]
        return Table.of("hacking", "Reward fine-tuning: the reward, the judges and the price.", rows)

    @staticmethod
    def _role(row: Metric) -> str:
        if row.is_training_reward or row.name == "pick_score":
            return "training reward"
        return "unseen judge" if row.name in ("clip_score", "image_reward") else "price"

    def guidance(self) -> Table:
        """Table 3."""
        grid = self.results.guidance_grid(self.paper.best_guidance)
        names = [DISTANCE, "inception_score", "within_class_variance", "class_accuracy"]
        rows = []
        for scale, variant in ((w, v) for w, v in grid.items() if self._known(v)):
            told = self.paper.row("table3", guidance=scale)
            source = self.paper.table("table3")["source"]
            row = {"w": f"{scale:g}", "variant": variant} | {
                self._title(n): self.metric(variant, n) for n in names
            }
            rows.append(
                row
                | {
                    "paper FID": self.told(told, "fid", source),
                    "paper IS": self.told(told, "inception_score", source),
                }
            )
        return Table.of(
            "table3",
            "Table 3. Guidance scale w in distillation, ours and the paper's (MARVAL-B); w = 1 is no guidance.",
            rows,
            {self._distance(): "min", "Inception Score": "max", "paper FID": "min", "paper IS": "max"},
        )

    def ablations(self) -> Table:
        """All variants x all metrics."""
        present = {name for rows in self.results.metrics.values() for name in rows}
        names = [n for n in METRICS if n in present] + sorted(present - set(METRICS))
        directions: dict[str, Direction] = {}
        for rows in self.results.metrics.values():
            for name, row in rows.items():
                if row.higher_is_better is not None:
                    directions[self._title(name)] = "max" if row.higher_is_better else "min"
        return Table.of(
            "ablations",
            "Every variant by every metric.",
            [{"variant": v} | {self._title(n): self.metric(v, n) for n in names} for v in self._ordered()],
            directions,
            [
                "Within-class variance has no better end: it is compared with that of the real images (row real)."
            ],
            UNRANKED,
        )

    def _ordered(self) -> list[str]:
        """Evaluated variants: real images, then in the preset's order, then any that the preset does not know."""
        wanted = ["real", *self.results.variants, *self.results.metrics]
        return [v for v in dict.fromkeys(wanted) if v in self.results.metrics]

    def paper_rows(self) -> Table:
        """The paper's own system-level table and that of MAR's authors."""
        rows = [
            {
                "model": row["model"],
                "guidance": self.told(row, "guidance"),
                "FID": self.told(row, "fid"),
                "IS": self.told(row, "inception_score"),
                "seconds/image": self.told(row, "seconds_per_image"),
                "parameters, million": self.told(row, "parameters_million"),
                "source": self.paper.table(table)["source"],
            }
            for table in ("table1", "mar_repository")
            for row in self.paper.table(table)["rows"]
        ]
        setting = self.paper.table("mar_repository")["setting"]
        return Table.of(
            "paper",
            "The figures that the authors publish for ImageNet 256x256.",
            rows,
            notes=[
                f"Rows of MARVAL's Table 1: {self.paper.table('table1')['setting']}.",
                f"Rows of MAR's repository: {setting}.",
                "A dash: not known to us.",
            ],
        )

    def judges(self) -> Table:
        """Held-out quality of the judges."""
        file = self.results.root / "judges" / "quality.json"
        rows = [
            {
                "judge": str(row.get("judge", "")),
                "quantity": str(row.get("quantity", "")),
                "value": Cell(_estimate(row), self.provenance.source(file)),
                "images": plain(row.get("n")),
                "better": str(row.get("better", "")),
            }
            for row in self.results.judges
            if isinstance(row.get("value"), int | float)
        ]
        return Table.of("judges", "The judges on images that they have not seen.", rows)

    def _title(self, name: str) -> str:
        return self._distance() if name == DISTANCE else metric_title(name)

    def _known(self, variant: str) -> bool:
        return variant in self.results.metrics or any(row.variant == variant for row in self.results.speed)


def single_image(results: Results, variant: str) -> Speed | None:
    """The timing that the paper's table has: batch 1, no optimisation; the preset's AR steps, a full-size accelerator first."""
    rows = [
        row for row in results.speed if row.variant == variant and row.batch == 1 and row.mode in PLAIN_MODES
    ]
    wanted = results.ar_steps(variant)
    return min(rows, key=lambda row: ("cpu" in row.device.lower(), row.ar_steps != wanted), default=None)


def _estimate(row: dict[str, Any]) -> Estimate:
    low, high = (float("nan") if row.get(key) is None else float(row[key]) for key in ("ci_low", "ci_high"))
    return Estimate(float(row["value"]), low, high)
