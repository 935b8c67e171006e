"""Time for an image against batch size, in both modes, with the machine's floor."""

from __future__ import annotations

from math import log10

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter

from reports.figures.style import WIDE, Drawing, colour, finish
from reports.formats import Speed
from reports.paper import Paper
from reports.regimes import EAGER, size_of
from reports.results import Results
from reports.roles import Roles
from reports.wording import number


def time_by_batch(results: Results, paper: Paper) -> Drawing | None:
    """A panel for each model size, device and number of AR steps; a line for each mode of teacher and student."""
    wanted = results.roles.pair(paper.teacher_steps)
    groups: dict[str, list[Speed]] = {}
    for row in results.speed:
        if row.variant in wanted:
            groups.setdefault(_title(results, row), []).append(row)
    groups = {title: rows for title, rows in groups.items() if len({row.batch for row in rows}) > 1}
    if not groups:
        return None
    figure = Figure(figsize=(WIDE, 0.8 + 2.5 * len(groups)))
    panels = figure.subplots(len(groups), 1, squeeze=False)
    for axes, (title, rows) in zip(panels.flat, groups.items(), strict=True):
        _panel(axes, rows, results.roles)
        axes.set_title(title)
        axes.set_ylabel("ms for an image (log scale)")
    panels.flat[-1].set_xlabel("batch size (log scale)")
    handles, labels = panels.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=2)
    caption = (
        "Time for an image against batch size. What a line loses from left to right is launches and waiting that a batch "
        "shares; what is left above its floor is still to be had."
    )
    return finish(
        figure,
        "time-by-batch",
        caption,
        "; ".join(_in_words(row) for row in results.speed if row.variant in wanted),
    )


def _title(results: Results, row: Speed) -> str:
    size = size_of(row.model)
    return ", ".join([*([f"MAR-{size}"] if size else []), f"{row.ar_steps} AR steps", results.device(row)])


def _panel(axes: Axes, rows: list[Speed], roles: Roles) -> None:
    for variant in dict.fromkeys(row.variant for row in rows):
        hue = colour(roles.of(variant))
        own = sorted((row for row in rows if row.variant == variant), key=lambda row: row.batch)
        for mode in dict.fromkeys(row.mode for row in own):
            points = [(row.batch, 1000 * row.estimate.value) for row in own if row.mode == mode]
            line = "-" if mode == EAGER else "--"
            axes.plot(*zip(*points, strict=True), f"o{line}", color=hue, label=f"{variant}, {mode}")
        floor = {row.batch: 1000 * row.floor_seconds for row in own if row.floor_seconds}
        if floor:
            axes.plot(list(floor), list(floor.values()), ":", color=hue, label=f"{variant}, floor")
    axes.set(xscale="log", yscale="log")
    axes.xaxis.set_major_locator(FixedLocator(sorted({row.batch for row in rows})))
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if _decades(rows) < 2 else (1,)))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
        axis.set_minor_formatter(NullFormatter())


def _decades(rows: list[Speed]) -> float:
    times = [x for row in rows for x in (row.estimate.value, row.floor_seconds) if x]
    return log10(max(times) / min(times))


def _in_words(row: Speed) -> str:
    floor = f", floor {number(1000 * row.floor_seconds)} ms" if row.floor_seconds else ""
    size = f"{row.model}, " if size_of(row.model) else ""
    return (
        f"{size}{row.variant}, batch {row.batch}, {row.mode}: {number(1000 * row.estimate.value)} ms{floor}"
    )
