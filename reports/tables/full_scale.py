"""What needs a larger machine: which rows of the paper a preset leaves open, and the command that fills them."""

from __future__ import annotations

from typing import Any

from reports.paper import command
from reports.tables.cells import Cells
from reports.tables.table import Table

TITLES = {"table1": "Table 1", "mar_repository": "MAR's own table", "table2": "Table 2", "table3": "Table 3"}


class FullScaleTable(Cells):
    """One table."""

    def full_scale(self) -> Table:
        """A row for each full-scale preset but the one at hand."""
        presets = self.paper.content["full_scale"]["needs"]
        return Table.of(
            "full-scale",
            "Rows of the paper that need what this preset does not have, and the command that fills them.",
            [self._row(preset) for preset in presets if preset != self.results.preset],
            notes=[
                "Each command writes a report of its own, results/PRESET/report.html, listed in results/index.html."
            ],
        )

    def _row(self, preset: str) -> dict[str, Any]:
        tested = self.paper.claims | self.paper.findings
        claims = [id for id, entry in tested.items() if entry["preset"] == preset]
        return {
            "command": command(preset),
            "fills": "; ".join(self._filled(preset)),
            "claims": ", ".join(claims),
            "needs": self.paper.needs(preset),
        }

    def _filled(self, preset: str) -> list[str]:
        """Rows of the paper's tables by table."""
        if preset == self.paper.content["full_scale"]["time_preset"]:
            return ["Table 1: seconds/image of every model"]
        found = []
        for table, title in TITLES.items():
            rows = [row for row in self.paper.table(table)["rows"] if row.get("preset") == preset]
            if rows:
                found.append(f"{title}: {', '.join(_name(row) for row in rows)}")
        return found


def _name(row: dict[str, Any]) -> str:
    return str(row["model"]) if "model" in row else f"w = {row['guidance']:g}"
