"""Rows of speed.json in a table for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Row = dict[str, Any]


def table(rows: Sequence[Row]) -> str:
    """For people: time, distance from the floor, and what the optimised sampler and the one step are worth."""
    lines = [
        f"{'variant':<14}{'K':>4}{'batch':>6}  {'mode':<10}{'ms/image':>10}  {'95% interval':<20}{'x floor':>8}  faster"
    ]
    for row in rows:
        lead = f"{row['variant']:<14}{row['ar_steps']:>4}{row['batch']:>6}  {row['mode']:<10}"
        lines.append(lead + (row["skipped"] if "skipped" in row else _figures(row) + _gain(row, rows)))
    return "\n".join([*lines, *_speedups(rows)])


def _figures(row: Row) -> str:
    seconds, low, high = (row[key] for key in ("seconds_per_image", "ci_low", "ci_high"))
    interval = "one round" if low is None else f"{1000 * low:.2f} to {1000 * high:.2f}"
    return f"{1000 * seconds:>10.2f}  {interval:<20}{seconds / row['floor_seconds']:>8.1f}"


def _gain(row: Row, rows: Sequence[Row]) -> str:
    """How many times as fast as the reference, for the optimised sampler."""
    same = ("variant", "ar_steps", "batch")
    plain = [
        r for r in rows if r["mode"] == "eager" and "skipped" not in r and all(r[k] == row[k] for k in same)
    ]
    if row["mode"] == "eager" or not plain:
        return ""
    return f"  {plain[0]['seconds_per_image'] / row['seconds_per_image']:.2f}"


def _speedups(rows: Sequence[Row]) -> list[str]:
    """The longest chain against the one step, regime by regime."""
    timed = [row for row in rows if "skipped" not in row]
    regimes = dict.fromkeys((row["ar_steps"], row["batch"], row["mode"]) for row in timed)
    lines = []
    for k, batch, mode in regimes:
        here = [r for r in timed if (r["ar_steps"], r["batch"], r["mode"]) == (k, batch, mode)]
        slow, fast = (f(here, key=lambda r: r["diffusion_steps"]) for f in (max, min))
        if slow["diffusion_steps"] > 1 and fast["diffusion_steps"] == 1:
            times = slow["seconds_per_image"] / fast["seconds_per_image"]
            lines.append(
                f"{fast['variant']} is {times:.1f} times as fast as {slow['variant']}: K {k}, batch {batch}, {mode}"
            )
    return lines
