"""Where the time of an image goes, by component, in both modes."""

from __future__ import annotations

from matplotlib.figure import Figure

from reports.figures.style import SEQUENCE, WIDE, Drawing, finish
from reports.formats import SHARES, Speed
from reports.paper import Paper
from reports.regimes import size_of
from reports.results import Results
from reports.wording import number

MOST_BARS = 16


def component_shares(results: Results, paper: Paper) -> Drawing | None:
    """Stacked shares of encoder, decoder, head and tokenizer, of the smallest model size that was timed."""
    shown = _shown(results, paper)
    if not shown:
        return None
    figure = Figure(figsize=(WIDE, 0.9 + 0.34 * len(shown)))
    axes = figure.subplots()
    names = [f"{r.variant}, batch {r.batch}, {r.mode}" for r in shown]
    left = [0.0] * len(shown)
    parts = [part for part in SHARES if any(part in r.shares for r in shown)]
    for part, shade in zip(parts, SEQUENCE, strict=False):
        width = [100 * r.shares.get(part, 0.0) for r in shown]
        axes.barh(range(len(shown)), width, left=left, color=shade, height=0.6, label=part)
        left = [a + b for a, b in zip(left, width, strict=True)]
    axes.set_yticks(range(len(shown)), names)
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.set(xlabel="share of the time of an image (%)", xlim=(0, max(100.0, *left)))
    figure.legend(loc="outside upper center", ncols=4)
    words = "; ".join(
        f"{name}: " + ", ".join(f"{part} {number(100 * r.shares.get(part, 0.0))}%" for part in parts)
        for name, r in zip(names, shown, strict=True)
    )
    size = size_of(shown[0].model)
    model = f" (MAR-{size})" if size else ""
    caption = f"Where the time of an image goes{model}; what is missing to 100% is between the components."
    return finish(figure, "component-shares", caption, words)


def _shown(results: Results, paper: Paper) -> list[Speed]:
    """A row for each variant, mode and batch (of many, the ends); the first number of AR steps stands for the others."""
    wanted = results.roles.pair(paper.teacher_steps)
    rows = [r for r in results.speed if r.shares and r.variant in wanted]
    smallest = min((size_of(r.model) or "" for r in rows), key=" BLH".find, default="")
    rows = [r for r in rows if (size_of(r.model) or "") == smallest]
    found = list({(r.variant, r.mode, r.batch): r for r in reversed(rows)}.values())
    if len(found) > MOST_BARS:
        ends = {min(r.batch for r in found), max(r.batch for r in found)}
        found = [r for r in found if r.batch in ends]
    return sorted(found, key=lambda r: (wanted.index(r.variant), r.mode, r.batch))[:MOST_BARS]
