"""Speed-up by regime, and where the time of an image goes."""

from __future__ import annotations

from matplotlib.figure import Figure

from reports.claims.speedup import regimes
from reports.figures.style import COLOURS, INK, SEQUENCE, Drawing, finish
from reports.formats import SHARES
from reports.paper import Paper
from reports.results import Results
from reports.wording import interval, limit, number

MOST_BARS = 16


def speedup_by_regime(results: Results, paper: Paper) -> Drawing | None:
    """One bar for each pair that was timed alike; the claim's bound as a line."""
    found = regimes(results, paper.teacher_steps)[:MOST_BARS]
    if not found:
        return None
    sizes = len({r.student.model for r in found}) > 1
    names = [
        f"batch {r.student.batch}, {r.student.mode}, K={r.student.ar_steps}"
        + (f"\n{r.student.model}" if sizes else "")
        for r in found
    ]
    figure = Figure(figsize=(5.6, 0.9 + 0.42 * len(found)))
    axes = figure.subplots()
    values = [r.speedup.value for r in found]
    low = [max(0.0, r.speedup.value - r.speedup.low) if r.speedup.has_interval else 0.0 for r in found]
    high = [max(0.0, r.speedup.high - r.speedup.value) if r.speedup.has_interval else 0.0 for r in found]
    colours = [COLOURS["marval"] if r.is_claimed else COLOURS["teacher"] for r in found]
    axes.barh(names, values, xerr=[low, high], color=colours, height=0.6, ecolor=INK, capsize=2)
    for y, r in enumerate(found):
        axes.annotate(
            f"{number(r.speedup.value)}×",
            (max(r.speedup.value, r.speedup.high), y),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
        )
    bound = paper.tolerance("C2", "speedup")[0]
    axes.axvline(
        bound, color=INK, linestyle="--", linewidth=1, zorder=0, label=f"the claim's bound, {limit(bound)}"
    )
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.margins(x=0.14)
    axes.set_xlabel(f"speed-up over {paper.teacher_steps} diffusion steps (times)")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0))
    told = "; ".join(f"{r.name}: {interval(r.speedup)} times" for r in found)
    return finish(
        figure,
        "speedup-regimes",
        "Speed-up by regime; the claim's own regime (batch 1, not optimised) in orange.",
        told,
    )


def component_shares(results: Results, paper: Paper) -> Drawing | None:
    """Stacked shares of encoder, decoder, head and tokenizer, where they were measured."""
    rows = [
        r for r in results.speed if r.shares and r.variant in (f"teacher-{paper.teacher_steps}", "marval")
    ]
    # a bar for each variant, mode and batch; the first number of AR steps stands for the others
    unique = {
        (r.model if r.model.lower().startswith("mar") else "", r.variant, r.mode, r.batch): r
        for r in reversed(rows)
    }
    shown = sorted(unique.values(), key=lambda r: (r.variant != "marval", r.mode, r.batch))[:MOST_BARS]
    if not shown:
        return None
    figure = Figure(figsize=(5.6, 0.9 + 0.42 * len(shown)))
    axes = figure.subplots()
    names = [f"{r.variant}, batch {r.batch}, {r.mode}" for r in shown]
    positions = list(range(len(shown)))
    left = [0.0] * len(shown)
    parts = [
        part
        for part in (*SHARES, *sorted({k for r in shown for k in r.shares} - set(SHARES)))
        if any(part in r.shares for r in shown)
    ]
    for part, shade in zip(parts, SEQUENCE * 2, strict=False):
        width = [100 * r.shares.get(part, 0.0) for r in shown]
        axes.barh(positions, width, left=left, color=shade, height=0.6, label=part)
        left = [a + b for a, b in zip(left, width, strict=True)]
    axes.set_yticks(positions, names)
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.set(xlabel="share of the time of an image (%)", xlim=(0, max(100.0, *left)))
    axes.legend(loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=4)
    told = "; ".join(
        f"{name}: " + ", ".join(f"{part} {number(100 * r.shares.get(part, 0.0))}%" for part in parts)
        for name, r in zip(names, shown, strict=True)
    )
    return finish(figure, "component-shares", "Where the time of an image goes.", told)
