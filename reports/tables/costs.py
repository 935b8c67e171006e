"""The stages' cost beside the paper's, and the calibration of the measuring code."""

from __future__ import annotations

from typing import Any

from reports.intervals import Estimate
from reports.paper import Paper
from reports.provenance import Provenance
from reports.results import Results
from reports.tables.table import Cell, Table, plain, without_common
from reports.wording import MISSING, number, plural, seconds


def stages(results: Results, provenance: Provenance) -> Table:
    """Wall time and peak memory of every recorded stage run; energy where the machine told it."""
    rows = [
        {
            "stage": record.stage,
            "wall time, s": Cell(
                Estimate(_number(record.get("wall_seconds"))), provenance.source(record.file)
            ),
            "peak memory, MB": Cell(_whole(record.get("peak_memory_mb")), provenance.source(record.file)),
            "energy, kJ": Cell(_kilojoules(record.get("energy_joules")), provenance.source(record.file)),
            "machine": machine(record.get("machine")),
        }
        for record in results.records
    ]
    rows, common = without_common(rows)
    return Table.of("stages", "What each stage cost here.", rows, notes=common)


def training_costs(results: Results, paper: Paper) -> Table:
    """The paper's training cost and ours for the same work, every seed and scale together."""
    rows = []
    for cost in paper.content["costs"] if results.measures_quality else []:
        ours = [record for record in results.records if record.stage.startswith(cost["stage"])]
        days = cost["accelerators"] * cost["days"]
        rows.append(
            {
                "work": cost["what"],
                "paper": f"{cost['epochs']} epochs, about {cost['days']} days on {cost['accelerators']} {cost['accelerator']} "
                f"(about {days} accelerator days)",
                "ours": _total(ours),
                "machine": machine(ours[0].get("machine")) if ours else MISSING,
            }
        )
    return Table.of(
        "training_costs",
        "Training cost, the paper's and ours.",
        rows,
        notes=[f"Source: {paper.content['costs'][0]['source']}."],
    )


def calibration(results: Results, provenance: Provenance) -> Table:
    """Published values that the measuring code was held to."""
    file = results.root / "calibration.json"
    rows = [
        {
            "check": str(row.get("check", "")),
            "expected": plain(_number(row.get("expected"))),
            "measured": Cell(Estimate(_number(row.get("measured"))), provenance.source(file)),
            "tolerance": plain(_number(row.get("tolerance"))),
            "result": "passed" if row.get("passed") else "failed",
        }
        for row in results.calibration
    ]
    return Table.of("calibration", "Calibration of the measuring code against published values.", rows)


def machine(content: Any) -> str:
    """`cpu, cores, gpu` in words."""
    if not isinstance(content, dict):
        return MISSING
    cores = content.get("cores")
    parts = [content.get("gpu"), content.get("cpu"), plural(int(cores), "core") if cores else None]
    return ", ".join(str(part) for part in parts if part) or MISSING


def _total(records: list[Any]) -> str:
    if not records:
        return "not run"
    total = sum(_number(record.get("wall_seconds")) for record in records)
    energy = [x.value for record in records if (x := _kilojoules(record.get("energy_joules")))]
    told = f", {number(sum(energy))} kJ" if energy else ""
    return f"{seconds(total)} in {plural(len(records), 'run')}{told}"


def _whole(value: Any) -> Estimate | None:
    return Estimate(round(value)) if isinstance(value, int | float) else None


def _kilojoules(value: Any) -> Estimate | None:
    return Estimate(float(value) / 1000) if isinstance(value, int | float) else None


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")
