"""One plain sentence: how much of a speed-up is arithmetic, and how much is launches and waiting."""

from __future__ import annotations

from reports.formats import Speed
from reports.regimes import NOTHING, Regime, size_of
from reports.wording import number, plural


def split(regime: Regime) -> str:
    """Empty where neither FLOPs nor floors were counted."""
    arithmetic, overhead = regime.arithmetic, regime.overhead
    if arithmetic is None or overhead is None:
        return ""
    parts = [f"a factor of {number(arithmetic)} is arithmetic{_computes(regime)}"]
    if regime.has_traffic:
        parts.append(f"{number(regime.traffic)} is weights that large batches would share")
    if overhead < 1 - NOTHING:
        parts.append(
            f"launches and waiting take a factor of {number(1 / overhead)} back{_efficiency(regime)}"
        )
    else:
        parts.append(f"{number(overhead)} is launches and waiting{_efficiency(regime)}")
    size = size_of(regime.student.model)
    steps = plural(regime.student.ar_steps, "AR step")
    where = ", ".join([*([f"MAR-{size}"] if size else []), regime.short, steps])
    return f"Of the {number(regime.speedup.value)} times ({where}), {', '.join(parts[:-1])}, and {parts[-1]}."


def _computes(regime: Regime) -> str:
    teacher, student = regime.teacher.flops, regime.student.flops
    return f" ({operations(teacher)} an image against {operations(student)})" if teacher and student else ""


def _efficiency(regime: Regime) -> str:
    rows = (regime.teacher, regime.student)
    parts = [f"{number(100 * share, 2)}%" for row in rows if (share := share_of_floor(row)) is not None]
    return (
        f" (the teacher runs at {parts[0]} of its floor's speed, the student at {parts[1]})"
        if len(parts) == 2
        else ""
    )


def share_of_floor(row: Speed) -> float | None:
    """The least time over the time taken: 1 is the machine's floor."""
    return row.floor_seconds / row.estimate.value if row.floor_seconds else None


def operations(flops: float) -> str:
    """A count of floating-point operations with its unit."""
    for size, unit in ((1e12, "TFLOP"), (1e9, "GFLOP"), (1e6, "MFLOP")):
        if flops >= size:
            return f"{number(flops / size)} {unit}"
    return f"{number(flops)} FLOP"
