"""Tables that show how far the others can be trusted: the judges, the price of the reward, the authors' own figures."""

from __future__ import annotations

from typing import Any

from reports.intervals import Estimate, difference
from reports.paper import command
from reports.roles import Role
from reports.tables.cells import Cells
from reports.tables.table import Cell, Table, plain


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
                "value": Cell(_estimate(row), self.provenance.source(file)),
                "images": plain(row.get("n")),
                "better": str(row.get("better", "")),
            }
            for row in self.results.judges
            if isinstance(row.get("value"), int | float)
        ]
        return Table.of("judges", "The judges on images that they have not seen.", rows)


def _estimate(row: dict[str, Any]) -> Estimate:
    low, high = (float("nan") if row.get(key) is None else float(row[key]) for key in ("ci_low", "ci_high"))
    return Estimate(float(row["value"]), low, high)
