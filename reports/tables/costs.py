"""The stages' cost beside the paper's, and the calibration of the measuring code."""

from __future__ import annotations

from typing import Any

from reports.formats import Record
from reports.intervals import Estimate
from reports.paper import Paper
from reports.provenance import Provenance
from reports.results import Results
from reports.tables.table import Cell, Table, plain, without_common
from reports.wording import MISSING, number, plural, seconds


def stages(results: Results, provenance: Provenance) -> Table:
    """Wall time and peak memory of every recorded stage run; energy where the machine has a meter."""
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
    return Table.of("stages", "What each run cost here.", rows, notes=common)


def stage_kinds(results: Results) -> Table:
    """The same, one row for all runs of a stage."""
    kinds: dict[str, list[Record]] = {}
    for record in results.records:
        kinds.setdefault(record.stage.partition("@")[0], []).append(record)
    rows = [_kind_row(kind, records) for kind, records in kinds.items()]
    return Table.of("stage-kinds", "What each kind of stage cost here, all its runs together.", rows)


def _kind_row(kind: str, records: list[Record]) -> dict[str, Any]:
    times = [_number(record.get("wall_seconds")) for record in records]
    memory = [x.value for record in records if (x := _whole(record.get("peak_memory_mb")))]
    return {
        "stage": kind,
        "runs": plain(len(records)),
        "wall time, all runs": seconds(sum(times)),
        "longest run": seconds(max(times)),
        "peak memory, MB": plain(int(max(memory)) if memory else None),
        "energy, kJ": plain(_energy(records)),
    }


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


def _total(records: list[Record]) -> str:
    if not records:
        return "not run"
    total = sum(_number(record.get("wall_seconds")) for record in records)
    energy = _energy(records)
    spent = "" if energy is None else f", {number(energy)} kJ"
    return f"{seconds(total)} in {plural(len(records), 'run')}{spent}"


def _whole(value: Any) -> Estimate | None:
    return Estimate(round(value)) if isinstance(value, int | float) else None


def _energy(records: list[Record]) -> float | None:
    """Kilojoules of all runs that have theirs recorded."""
    known = [x.value for record in records if (x := _kilojoules(record.get("energy_joules")))]
    return sum(known) if known else None


def _kilojoules(value: Any) -> Estimate | None:
    return Estimate(float(value) / 1000) if isinstance(value, int | float) else None


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")
