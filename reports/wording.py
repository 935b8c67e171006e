"""How numbers are written in sentences, tables and figures."""

from __future__ import annotations

import math

from reports.intervals import Estimate

ARROW = "→"
MISSING = "–"


def number(value: float | int | None, digits: int = 3) -> str:
    """`digits` significant digits, one more from 10 on (where the paper has them too); a dash for what is unknown.

    Integers are counts and are written in full.
    """
    if isinstance(value, int):
        return f"{value:,}"
    if value is None or math.isnan(value):
        return MISSING
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if value == 0:
        return "0"
    digits += abs(value) >= 10
    places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:,.{places}f}" if places <= 6 else f"{value:.{digits - 1}e}"


def interval(estimate: Estimate | None) -> str:
    """`0.913 [0.880, 0.952]`; no bracket around what is exact or has no interval."""
    if estimate is None:
        return MISSING
    ends = bounds(estimate)
    return f"{number(estimate.value)} [{ends}]" if ends else number(estimate.value)


def bounds(estimate: Estimate | None) -> str:
    """`0.880, 0.952`: the decimals of the value, fewer where the interval is too wide for them.

    Empty for what is exact or has no interval.
    """
    if estimate is None or not estimate.has_interval or estimate.low == estimate.high:
        return ""
    text = number(estimate.value)
    if "e" in text or not math.isfinite(estimate.value):
        return f"{number(estimate.low)}, {number(estimate.high)}"
    width = estimate.high - estimate.low
    places = len(text.partition(".")[2]) if estimate.value else 6
    if math.isfinite(width):
        places = min(places, max(0, 2 - math.floor(math.log10(width))))
    return ", ".join(
        f"{x:,.{places}f}" if math.isfinite(x) else number(x) for x in (estimate.low, estimate.high)
    )


def limit(value: float | None) -> str:
    """A bound as it was set: 30, 1.18, 0."""
    return MISSING if value is None else f"{value:.4g}"


def seconds(value: float | None) -> str:
    """A duration with its unit."""
    if value is None or math.isnan(value):
        return MISSING
    if value < 1:
        return f"{number(value * 1000)} ms"
    if value < 120:
        return f"{number(value)} s"
    if value < 7200:
        return f"{number(value / 60)} min"
    return f"{number(value / 3600)} h" if value < 172800 else f"{number(value / 86400)} days"


def plural(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
