"""Speed in every regime, the stages' cost beside the paper's, and the calibration of the measuring code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reports.claims.speedup import regimes
from reports.intervals import Estimate, ratio
from reports.paper import Paper
from reports.provenance import Provenance
from reports.results import Results
from reports.tables.table import Cell, Table, plain
from reports.wording import MISSING, plural, seconds


def speedups(results: Results, paper: Paper, provenance: Provenance) -> Table:
    """Teacher over student wherever both were timed alike."""
    rows = [
        {
            "regime": f"batch {r.student.batch}, {r.student.mode}",
            "model": r.student.model,
            "AR steps": plain(r.student.ar_steps),
            "teacher, ms/image": _milliseconds(r.teacher.estimate, provenance, r.teacher.file),
            "student, ms/image": _milliseconds(r.student.estimate, provenance, r.student.file),
            "speed-up": Cell(r.speedup, provenance.source(r.student.file)),
            "the claim's regime": "yes" if r.is_claimed else "",
            "device": r.student.device,
        }
        for r in regimes(results, paper.teacher_steps)
    ]
    caption = f"Speed-up of one step over {paper.teacher_steps} diffusion steps, regime by regime."
    return Table.of(
        "speedups",
        caption,
        rows,
        notes=["Each row compares the same device, batch, AR steps and mode. Intervals are 95%."],
    )


def timings(results: Results, provenance: Provenance) -> Table:
    """Every timed row."""
    rows = [
        {
            "variant": row.variant,
            "model": row.model,
            "batch": plain(row.batch),
            "mode": row.mode,
            "AR steps": plain(row.ar_steps),
            "diffusion steps": plain(row.diffusion_steps),
            "ms/image": _milliseconds(row.estimate, provenance, row.file),
            "images/s": Cell(_reciprocal(row.estimate), provenance.source(row.file)),
            "device": row.device,
        }
        for row in results.speed
    ]
    return Table.of("timings", "Every timing.", rows)


def roofline(results: Results, provenance: Provenance) -> Table:
    """Measured time over the least time that the arithmetic and the memory traffic allow, where a floor was computed."""
    rows = []
    for row in results.speed:
        if not row.floor_seconds:
            continue
        floor = Estimate(row.floor_seconds * 1000)
        times = ratio(row.estimate, Estimate(row.floor_seconds, row.floor_seconds, row.floor_seconds))
        rows.append(
            {
                "variant": row.variant,
                "model": row.model,
                "batch": plain(row.batch),
                "mode": row.mode,
                "floor, ms/image": Cell(floor, provenance.source(row.file)),
                "measured, ms/image": _milliseconds(row.estimate, provenance, row.file),
                "times the floor": Cell(times, provenance.source(row.file)),
            }
        )
    return Table.of("roofline", "Distance from the machine's floor.", rows)


def stages(results: Results, provenance: Provenance) -> Table:
    """Wall time and peak memory of every recorded stage run."""
    rows = [
        {
            "stage": record.stage,
            "wall time, s": Cell(
                Estimate(_number(record.get("wall_seconds"))), provenance.source(record.file)
            ),
            "peak memory, MB": Cell(_whole(record.get("peak_memory_mb")), provenance.source(record.file)),
            "machine": machine(record.get("machine")),
        }
        for record in results.records
    ]
    return Table.of("stages", "What each stage cost here.", rows)


def training_costs(results: Results, paper: Paper) -> Table:
    """The paper's training cost and ours for the same work, every seed and scale together."""
    rows = []
    for cost in paper.content["costs"]:
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
    return f"{seconds(total)} in {plural(len(records), 'run')}"


def _milliseconds(estimate: Estimate, provenance: Provenance, file: Path) -> Cell:
    return Cell(estimate.mapped(lambda x: x * 1000), provenance.source(file))


def _reciprocal(estimate: Estimate) -> Estimate:
    return ratio(Estimate(1.0, 1.0, 1.0), estimate)


def _whole(value: Any) -> Estimate | None:
    return Estimate(round(value)) if isinstance(value, int | float) else None


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")
