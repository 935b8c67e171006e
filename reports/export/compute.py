"""What a reproduction cost, from the stages' records, in the order of CVPR 2026's Compute Reporting Form.

The form's first section asks for hardware, its second for the compute and the performance of what is reported; its third, on the
history of development, records do not know.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from reports.claims.compare import DISTANCE
from reports.formats import Record
from reports.paper import Paper
from reports.regimes import single_image
from reports.results import Results
from reports.roles import Role
from reports.tables.costs import machine
from reports.wording import number

TRAINING = (
    "tokenizer",
    "judges",
    "teacher",
    "distill",
    "reinforce",
)  # stages; all others sample, measure or prepare
HARDWARE, COSTS, PERFORMANCE = "1 hardware", "2 compute", "2 performance"


def compute(results: Results) -> pd.DataFrame:
    """Rows section, item, value, unit, note."""
    records = results.records
    rows = [*_hardware(records), *_costs(records), *_performance(results, Paper().teacher_steps)]
    return pd.DataFrame(rows, columns=["section", "item", "value", "unit", "note"])


def _hardware(records: list[Record]) -> list[tuple[Any, ...]]:
    found = dict.fromkeys(machine(record.get("machine")) for record in records if record.get("machine"))
    software: dict[str, Any] = next((r.get("versions") for r in reversed(records) if r.get("versions")), {})
    peak = max(
        (float(m) for r in records if isinstance(m := r.get("peak_memory_mb"), int | float)), default=None
    )
    return [
        *((HARDWARE, "machine", name, "", "") for name in found),
        (HARDWARE, "peak memory of a stage", number(peak), "MB", ""),
        (HARDWARE, "software", ", ".join(f"{k} {v}" for k, v in software.items()), "", ""),
    ]


def _costs(records: list[Record]) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = []
    for title, own in (("training", True), ("sampling and evaluation", False)):
        chosen = [r for r in records if (r.stage.partition("@")[0] in TRAINING) is own]
        on_gpu = [r for r in chosen if (r.get("machine") or {}).get("gpu")]
        rows += [
            (COSTS, f"{title}: runs", str(len(chosen)), "", ""),
            (COSTS, f"{title}: wall time", number(_hours(chosen)), "h", "all runs one after the other"),
            (
                COSTS,
                f"{title}: accelerator time",
                number(_hours(on_gpu)),
                "h",
                "machines with an accelerator",
            ),
        ]
    energy = [
        float(r.get("energy_joules")) for r in records if isinstance(r.get("energy_joules"), int | float)
    ]
    note = "of stages whose machine has a meter" if energy else "no machine had a meter"
    return [*rows, (COSTS, "energy", number(sum(energy) / 1000) if energy else "", "kJ", note)]


def _hours(records: list[Record]) -> float:
    times = [r.get("wall_seconds") for r in records]
    return sum(float(t) for t in times if isinstance(t, int | float)) / 3600


def _performance(results: Results, steps: int) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = []
    for variant in (*results.roles.pair(steps), *results.roles.named(Role.REINFORCED)):
        timed, scored = single_image(results, variant), results.metric(variant, DISTANCE)
        if timed:
            where = f"batch 1, {timed.mode}, {results.device(timed)}"
            rows.append(
                (PERFORMANCE, f"{variant}: time for an image", number(timed.estimate.value), "s", where)
            )
        if timed and timed.flops:
            rows.append(
                (PERFORMANCE, f"{variant}: operations for an image", f"{timed.flops:.3e}", "FLOP", "")
            )
        if scored:
            value = number(scored.estimate.value)
            rows.append(
                (PERFORMANCE, f"{variant}: {scored.title}", value, "", f"judge {scored.judge}, n={scored.n}")
            )
    return rows
