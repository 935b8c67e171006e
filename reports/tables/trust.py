"""Tables that show how far the others can be trusted: the judges, the price of the reward, the authors' own figures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from reports.claims.compare import DISTANCE
from reports.independent import standings
from reports.intervals import Estimate, difference
from reports.paper import command
from reports.roles import Role
from reports.tables.cells import Cells
from reports.tables.table import Cell, Table, plain
from reports.variance import components


class TrustTables(Cells):
    """One method a table."""

    def hacking(self) -> Table:
        """What reward fine-tuning did to the training reward, to unseen judges, and to what it may cost."""
        before, after = self.results.scores(Role.STUDENT), self.results.scores(Role.REINFORCED)
        names = [name for name in before if name in after]
        rows = [
            {
                "quantity": self.title(name),
                "role": self.role(before[name]),
                "before": self.cell(before[name]),
                "after": self.cell(after[name]),
                "change": Cell(
                    difference(after[name].estimate, before[name].estimate),
                    self.provenance.source(after[name].file),
                ),
                "real images": plain(self.results.real_value(name)),
            }
            for name in sorted(names, key=lambda name: self.role(before[name]), reverse=True)
        ]
        caption = "Reward fine-tuning: the reward, the judges and the price."
        return Table.of("hacking", caption, rows, notes=self._watched())

    def _watched(self) -> list[str]:
        """For each tuned model, from which step on something contradicts the training reward."""
        notes = []
        for name, watch in self.results.watches.items():
            if watch.step is None:
                notes.append(
                    f"{name}: the unseen judges agree with the training reward at every step looked at."
                )
            else:
                reasons = "; ".join(f"{alarm['quantity']}: {alarm['reason']}" for alarm in watch.alarms)
                notes.append(
                    f"{name}: from step {watch.step} on something contradicts the training reward ({reasons})."
                )
        return notes

    def variance(self) -> Table:
        """Components of the scatter of log distance."""
        student, tuned = (self.results.scores(role).get(DISTANCE) for role in (Role.STUDENT, Role.REINFORCED))
        found = []
        if student:
            found = components(student.estimate, tuned.estimate if tuned else None, self.roles.taught_by)
        rows = [
            {
                "what varies": part.name,
                "standard deviation of log distance": Cell(
                    part.estimate, self.provenance.source(student.file) if student else None
                ),
                "degrees of freedom": plain(part.degrees or None, decimals=0),
            }
            for part in found
        ]
        return Table.of(
            "variance",
            "Where the scatter of the student's Fréchet distance comes from: nested variance components.",
            rows,
            notes=[
                "Drawing images: from random halves. The others are what is left of their mean square without it; the interval "
                "is the mean square's chi-square interval, with the other components held fixed: a rough one.",
            ],
        )

    def lag(self) -> Table:
        """Whether the auxiliary network followed the student: with its exact score the mean of L1 is zero."""
        rows = []
        for name, columns in self.results.curves.items():
            first, second = columns.get("loss_l1"), columns.get("loss_l2")
            if first and second and columns.get("loss_auxiliary"):
                parts = [slice(k * len(first) // 4, (k + 1) * len(first) // 4) for k in range(4)]
                rows.append(
                    {"model": name}
                    | {
                        f"quarter {k}": plain(abs(_mean(first[part])) / _mean(second[part]), decimals=2)
                        for k, part in enumerate(parts, 1)
                        if first[part] and _mean(second[part]) > 0
                    }
                )
        return Table.of(
            "lag",
            "The auxiliary network's lag: |mean L1| over mean L2 in each quarter of the distillation.",
            rows,
            notes=[
                "L1 is zero on average if the auxiliary network has the student's exact score: 0 is no lag."
            ],
        )

    def rivals(self) -> Table:
        """What others publish: of other teachers, samplers and machines."""
        published = self.paper.content["rivals"]
        rows = [
            {
                "method": row["method"],
                "kind": row["kind"],
                "FID": self.printed(row, "fid"),
                "IS": self.printed(row, "inception_score"),
                "speed-up, as published": row.get("speedup", ""),
                "source": row["source"],
            }
            for row in published["rows"]
        ]
        return Table.of(
            "rivals",
            f"{published['title']}: not comparable with each other or with ours.",
            rows,
            notes=["Each speed-up is over its authors' own base: another teacher, sampler and machine."],
        )

    def paper_rows(self) -> Table:
        """The paper's own system-level table and that of MAR's authors."""
        rows = [
            {
                "model": row["model"],
                "guidance": self.printed(row, "guidance"),
                "FID": self.printed(row, "fid"),
                "IS": self.printed(row, "inception_score"),
                "seconds/image": self.printed(row, "seconds_per_image"),
                "parameters, million": self.printed(row, "parameters_million"),
                "source": self.paper.table(table)["source"],
                "measured by": command(row["preset"]) if "preset" in row else "",
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
                "value": Cell(_estimate(row), self.provenance.source(file), _halves(row)),
                "images": plain(row.get("images", row.get("n"))),
                "better": str(row.get("better", "")),
            }
            for row in self.results.judges
            if isinstance(row.get("value"), int | float)
        ]
        return Table.of("judges", "The judges on images that they have not seen.", rows)

    def independent(self) -> Table:
        """What the judges that nobody here trained rank, and whether that lets them decide anything."""
        wanted = self.paper.images_to_decide
        rows = [
            {
                "judge": one.judge,
                "images": one.images,
                "corrupted copies": one.copies.told,
                "guidance scales": one.scales.told,
                "may decide": one.decides(wanted),
            }
            for one in standings(self.results, self.paper)
        ]
        return Table.of(
            "independent",
            "May a network that nobody here trained decide?",
            rows,
            notes=[
                f"It may once it ranks {wanted:,} images or more in each set: damaged copies on every half of the held-out "
                f"images, and the guidance scales as {self.paper.table('table3')['source']} does. No verdict above asks it."
            ],
        )


def _halves(row: dict[str, Any]) -> str:
    """How many sets of images a share is of, where it is no share of images."""
    return f"share of {row['n']} random halves" if "images" in row else ""


def _estimate(row: dict[str, Any]) -> Estimate:
    low, high = (float("nan") if row.get(key) is None else float(row[key]) for key in ("ci_low", "ci_high"))
    return Estimate(float(row["value"]), low, high)


def _mean(values: Sequence[float]) -> float:
    """Of what was logged."""
    known = [x for x in values if math.isfinite(x)]
    return sum(known) / len(known) if known else math.nan
