"""The report's tables: each one pandas data frame, written as HTML, CSV and LaTeX."""

from __future__ import annotations

from reports.paper import Paper
from reports.provenance import Provenance
from reports.results import Results
from reports.tables import costs
from reports.tables.full_scale import FullScaleTable
from reports.tables.quality import QualityTables
from reports.tables.table import Cell, Table
from reports.tables.times import TimeTables
from reports.tables.trust import TrustTables

__all__ = ["Cell", "Table", "all_tables"]


def all_tables(results: Results, paper: Paper, provenance: Provenance) -> dict[str, Table]:
    """{id: table} in the order of the page; a table without content is left out."""
    quality = QualityTables(results, paper, provenance)
    trust = TrustTables(results, paper, provenance)
    times = TimeTables(results, paper, provenance)
    tables = [
        quality.system(),
        quality.reward(),
        quality.guidance(),
        quality.methods(),
        quality.ablations(),
        trust.paper_rows(),
        trust.rivals(),
        FullScaleTable(results, paper, provenance).full_scale(),
        times.times(),
        times.speedups(),
        times.timings(),
        times.roofline(),
        times.shares(),
        costs.training_costs(results, paper),
        costs.stage_kinds(results),
        costs.stages(results, provenance),
        trust.hacking(),
        trust.variance(),
        trust.lag(),
        trust.judges(),
        trust.independent(),
        costs.calibration(results, provenance),
    ]
    return {table.id: table for table in tables if not table.is_empty}
