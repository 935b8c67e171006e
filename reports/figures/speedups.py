"""Speed-up by regime (batch size x mode), beside what arithmetic and the machine's floor alone would give."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter

from reports.claims.speedup import bound_of
from reports.figures.style import INK, WIDE, Drawing, colour, finish
from reports.paper import Paper
from reports.regimes import Regime, regimes, size_of
from reports.results import Results
from reports.roles import Role
from reports.scope import scope_of
from reports.wording import interval, limit, number

TICKS = (0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500)
ROW, AROUND = 0.3, 1.25  # inches


def speedup_by_regime(results: Results, paper: Paper) -> Drawing | None:
    """A line for each pair that was timed alike; a panel for each model size."""
    found = regimes(results, paper.teacher_steps)
    if not found:
        return None
    caption = (
        "Speed-up by regime, student against teacher in the same mode, with 95% intervals. Orange: the claim's own regime "
        "(batch 1, eager). A bar leads from what the machine's floor alone would give to what was measured: it is launches and "
        "waiting."
    )
    size = scope_of(results, paper).size
    return finish(
        drawn(found, paper, size), "speedup-regimes", caption, "; ".join(_in_words(r) for r in found)
    )


def drawn(found: list[Regime], paper: Paper, size: str | None = None) -> Figure:
    """The figure, not yet rendered; `size` is that of models whose names do not say it."""
    groups = grouped(found)
    rows = [len(group) for group in groups.values()]
    figure = Figure(figsize=(WIDE, AROUND + ROW * sum(rows) + 0.3 * (len(rows) - 1)))
    panels = figure.subplots(len(rows), 1, squeeze=False, sharex=True, height_ratios=rows)
    for axes, (title, group) in zip(panels.flat, groups.items(), strict=True):
        _panel(axes, group)
        axes.set_title(title)
    _bound(panels.flat[0], groups, paper, size)
    _scale(panels.flat[-1], found)
    panels.flat[-1].set_xlabel(f"speed-up over {paper.teacher_steps} diffusion steps (times, log scale)")
    handles, labels = panels.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=2)
    return figure


def grouped(found: list[Regime]) -> dict[str, list[Regime]]:
    """Regimes by model size and AR steps where there are several, with a title; one group without a title otherwise."""
    keys = {(size_of(r.student.model), r.student.ar_steps, r.device) for r in found}
    groups: dict[str, list[Regime]] = {}
    for r in found:
        size, steps, device = size_of(r.student.model), r.student.ar_steps, r.device
        several = [len({key[i] for key in keys}) > 1 for i in range(3)]
        parts = (f"MAR-{size}" if size else "", f"{steps} AR steps", device)
        title = ", ".join(p for p, many in zip(parts, several, strict=True) if p and many)
        groups.setdefault(title, []).append(r)
    return groups


def _panel(axes: Axes, group: list[Regime]) -> None:
    places = range(len(group))
    axes.set_yticks(places, [r.short for r in group])
    axes.set_ylim(len(group) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    for y, r in zip(places, group, strict=True):
        hue = colour(Role.STUDENT if r.is_claimed else Role.TEACHER)
        least = r.floor or r.arithmetic
        if least:
            axes.plot(
                [least, r.speedup.value], [y, y], color=hue, linewidth=3, alpha=0.35, solid_capstyle="butt"
            )
        axes.errorbar([r.speedup.value], [y], xerr=_reach(r), fmt="o", color=hue, capsize=2.5, elinewidth=1)
        # the numbers stand in a column of their own, where no line runs
        axes.annotate(
            f"{number(r.speedup.value)}×",
            (1.02, y),
            xycoords=axes.get_yaxis_transform(),
            va="center",
            fontsize=8.5,
        )
    _marks(axes, [(y, r.arithmetic) for y, r in enumerate(group)], "arithmetic alone", "|")
    if any(r.has_traffic for r in group):
        _marks(axes, [(y, r.floor) for y, r in enumerate(group)], "at the machine's floor", "D")


def _reach(r: Regime) -> list[list[float]]:
    if not r.speedup.has_interval:
        return [[0.0], [0.0]]
    return [[max(0.0, r.speedup.value - r.speedup.low)], [max(0.0, r.speedup.high - r.speedup.value)]]


def _marks(axes: Axes, points: list[tuple[int, float | None]], label: str, marker: str) -> None:
    known = [(x, y) for y, x in points if x]
    if known:
        x, y = zip(*known, strict=True)
        size = 13 if marker == "|" else 4.5
        axes.plot(x, y, marker, color=INK, markersize=size, markeredgewidth=1.6, label=label, zorder=1)


def _bound(axes: Axes, groups: dict[str, list[Regime]], paper: Paper, size: str | None) -> None:
    """The claim's bound in every panel; the legend has it once."""
    for i, (panel, group) in enumerate(zip(axes.figure.axes, groups.values(), strict=True)):
        bound = bound_of(paper, size_of(group[0].student.model) or size)
        label = "the claim's bound" if len(groups) > 1 else f"the claim's bound, {limit(bound)}"
        panel.axvline(
            bound, color=INK, linestyle="--", linewidth=1, zorder=0, label=label if i == 0 else None
        )


def _scale(axes: Axes, found: list[Regime]) -> None:
    """Log scale with plain numbers."""
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(TICKS))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    shown = [
        x for r in found for x in (r.speedup.value, r.speedup.high, r.arithmetic, r.floor) if x and x == x
    ]
    axes.set_xlim(min(0.9, min(shown) * 0.8), max(40.0, max(shown) * 1.15))


def _in_words(r: Regime) -> str:
    factors = [("arithmetic alone", r.arithmetic), ("at the floor", r.floor if r.traffic else None)]
    extra = ", ".join(f"{name} {number(value)}" for name, value in factors if value)
    return f"{r.name}: {interval(r.speedup)} times" + (f" ({extra})" if extra else "")
