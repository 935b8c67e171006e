"""The paper's three tables with ours beside them, and every variant against every metric."""

from __future__ import annotations

from typing import Any

from reports.claims.compare import DISTANCE, DIVERSITY
from reports.intervals import difference
from reports.regimes import single_image
from reports.tables.cells import Cells
from reports.tables.table import Cell, Direction, Table, plain
from reports.wording import METRICS, metric_title

UNRANKED = ("real",)  # the floor, and no model


class QualityTables(Cells):
    """One method a table."""

    def system(self) -> Table:
        """Table 1."""
        teacher = f"teacher-{self.paper.teacher_steps}"
        roles = {teacher: ("table1", "teacher"), "marval": ("table1", "student")}
        longer = self._longer(teacher) if self.scope.is_full else []
        roles |= dict.fromkeys(longer, ("mar_repository", "teacher"))
        teachers = [*longer, *self.results.teachers().values()]
        wanted = ["real", *teachers, "marval", "marval-rl"] if self.results.measures_quality else []
        return Table.of(
            "table1",
            f"Table 1. Quality and speed, ours beside the paper's {self.size} row ({self._setting()}).",
            [self._system_row(v, *roles.get(v, ("table1", ""))) for v in wanted if self.known(v)],
            {self.distance(): "min", "IS": "max", "s/image": "min"},
            [
                "s/image (seconds for an image) and speed-up: batch 1, eager, against the 100-step teacher with the same number "
                "of AR steps. Section “At what cost?” has every other regime.",
                "NFE: head evaluations for one image, both branches of guidance counted.",
                *self._borrowed(wanted),
            ],
            UNRANKED,
        )

    def _borrowed(self, variants: list[str]) -> list[str]:
        """Whose time is another's."""
        timed = {v: row.variant for v in variants if (row := single_image(self.results, v))}
        return [f"{v} runs the same steps as {as_} and has its time." for v, as_ in timed.items() if v != as_]

    def _longer(self, teacher: str) -> list[str]:
        """The teacher with the AR steps of MAR's own table, but otherwise as it is."""
        wanted = self.results.variants.get(teacher, {}) | {
            "ar_steps": self.paper.table("mar_repository")["ar_steps"]
        }
        return [v for v, settings in self.results.variants.items() if v != teacher and settings == wanted]

    def _system_row(self, variant: str, table: str, role: str) -> dict[str, Any]:
        wanted = {"size": self.size} | ({"role": role} if table == "table1" else {})
        told = self.paper.row(table, **wanted) if role else {}
        source = f"{self.paper.table(table)['source']}, row {told.get('model')}"
        return {
            "variant": variant,
            self.distance(): self.metric(variant, DISTANCE),
            "paper FID": self.told(told, "fid", source),
            "IS": self.metric(variant, "inception_score"),
            "paper IS": self.told(told, "inception_score", source),
            "s/image": self.seconds(variant),
            "paper s/image": self.told(told, "seconds_per_image", source),
            "speed-up": self.speedup(variant),
            "paper speed-up": plain(
                self.paper.speedup(self.size) if role == "student" else None,
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
            "role": self.role(row),
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

    def guidance(self) -> Table:
        """Table 3."""
        grid = self.results.guidance_grid(self.paper.best_guidance)
        names = [DISTANCE, "inception_score", "within_class_variance", "class_accuracy"]
        rows = []
        for scale, variant in ((w, v) for w, v in grid.items() if v in self.results.metrics):
            told = self.paper.row("table3", guidance=scale)
            source = self.paper.table("table3")["source"]
            row = {"w": f"{scale:g}", "variant": variant} | {
                self.title(n): self.metric(variant, n) for n in names
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
            {self.distance(): "min", "Inception Score": "max", "paper FID": "min", "paper IS": "max"},
        )

    def ablations(self) -> Table:
        """All variants x all metrics."""
        present = {name for rows in self.results.metrics.values() for name in rows}
        names = [n for n in METRICS if n in present] + sorted(present - set(METRICS))
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

    def _ordered(self) -> list[str]:
        """Evaluated variants: real images, then in the preset's order, then any that the preset does not know."""
        wanted = ["real", *self.results.variants, *self.results.metrics]
        return [v for v in dict.fromkeys(wanted) if v in self.results.metrics]
