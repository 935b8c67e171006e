"""Quality against what is paid for it: seconds, diffusion steps, AR steps, guidance."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter

from reports.claims.compare import DISTANCE, DIVERSITY
from reports.figures.style import WIDE, Drawing, colour, finish
from reports.intervals import Estimate
from reports.paper import Paper
from reports.regimes import single_image
from reports.results import Results
from reports.wording import interval, metric_title, number, seconds

WIDE_RANGE = 20  # largest over smallest distance
Point = tuple[float, Estimate, str]  # x, y with interval, variant


def against_seconds(results: Results, paper: Paper) -> Drawing | None:
    """The paper's Figure 1: distance against seconds for an image, every number of diffusion steps of the teacher."""
    points: list[Point] = []
    for variant in [*results.teachers().values(), "marval", "marval-rl"]:
        timed, scored = single_image(results, variant), results.metric(variant, DISTANCE)
        if timed and scored:
            points.append((timed.estimate.value, scored.estimate, variant))
    if not points:
        return None
    figure, axes = _axes("seconds for one image (batch 1, eager; log scale)", _distance(results))
    _series(
        axes,
        [p for p in points if p[2].startswith("teacher")],
        "teacher, by diffusion steps",
        "teacher",
        names=_steps_label,
    )
    for variant in ("marval", "marval-rl"):
        _series(axes, [p for p in points if p[2] == variant], variant, variant)
    _logarithmic(axes)
    _wide_range(axes, points)
    _floor(axes, results)
    axes.legend()
    caption = (
        "Quality against time (the paper's Figure 1), with the teacher at every number of diffusion steps: the frontier "
        "that one step has to beat. Lower and further left is better. All times are of batch 1, eager, on one machine, as in the "
        "paper."
    )
    return finish(figure, "quality-seconds", caption, _told(points, lambda x: seconds(x)))


def against_diffusion_steps(results: Results, paper: Paper) -> Drawing | None:
    """Distance of the teacher against its diffusion steps, with the student as a level."""
    found = [
        (steps, variant, results.metric(variant, DISTANCE)) for steps, variant in results.teachers().items()
    ]
    points: list[Point] = [(float(steps), row.estimate, variant) for steps, variant, row in found if row]
    if len(points) < 2:
        return None
    figure, axes = _axes("diffusion steps for each AR step (log scale)", _distance(results))
    _series(axes, points, "teacher", "teacher")
    for variant in ("marval", "marval-rl"):
        row = results.metric(variant, DISTANCE)
        if row:
            _level(axes, row.estimate, f"{variant} (one evaluation)", colour(variant))
            points.append((1.0, row.estimate, variant))
    _logarithmic(axes, [p[0] for p in points])
    _wide_range(axes, points)
    _floor(axes, results)
    axes.legend()
    caption = "Quality of the teacher by diffusion steps; bands are the one-step models with their intervals."
    return finish(
        figure, "quality-diffusion-steps", caption, _told(points, lambda x: f"{number(x)} diffusion steps")
    )


def against_ar_steps(results: Results, paper: Paper) -> Drawing | None:
    """Distance against AR steps, for variants that differ from a standard one in nothing else."""
    groups = {
        base: _ar_variants(results, base)
        for base in (f"teacher-{paper.teacher_steps}", "marval", "marval-rl")
    }
    groups = {base: points for base, points in groups.items() if len(points) > 1}
    if not groups:
        return None
    figure, axes = _axes("AR steps K (log scale)", _distance(results))
    for base, points in groups.items():
        _series(axes, points, base, base)
    told = [point for points in groups.values() for point in points]
    _logarithmic(axes, [p[0] for p in told])
    axes.legend()
    return finish(
        figure,
        "quality-ar-steps",
        "Quality against the number of AR steps.",
        _told(told, lambda x: f"K = {number(x)}"),
    )


def against_guidance(results: Results, paper: Paper) -> Drawing | None:
    """Distance and diversity against the guidance scale of distillation."""
    grid = results.guidance_grid(paper.best_guidance)
    columns = [(name, _points(results, grid, name)) for name in (DISTANCE, DIVERSITY)]
    columns = [(name, points) for name, points in columns if len(points) > 1]
    if not columns:
        return None
    figure = Figure(figsize=(WIDE, 2.7 * len(columns)))
    for axes, (name, points) in zip(
        figure.subplots(len(columns), 1, squeeze=False).flat, columns, strict=True
    ):
        axes.set(
            xlabel="guidance scale w of distillation",
            ylabel=_distance(results) if name == DISTANCE else metric_title(name).lower(),
        )
        _series(axes, points, "marval", "marval")
        _floor(axes, results, name)
        axes.legend()
    told = "; ".join(
        f"{metric_title(name)}: {_told(points, lambda x: f'w = {x:g}')}" for name, points in columns
    )
    return finish(
        figure,
        "quality-guidance",
        "Distance and diversity against the guidance scale of distillation (Table 3).",
        told,
    )


# --- pieces --------------------------------------------------------------------------------


def _axes(x: str, y: str) -> tuple[Figure, Axes]:
    figure = Figure()
    axes = figure.subplots()
    axes.set(xlabel=x, ylabel=y)
    return figure, axes


def _points(results: Results, grid: dict[float, str], name: str) -> list[Point]:
    rows = [(w, results.metric(variant, name), variant) for w, variant in grid.items()]
    return [(w, row.estimate, variant) for w, row, variant in rows if row]


def _ar_variants(results: Results, base: str) -> list[Point]:
    """Variants with the settings of `base` but for the AR steps."""
    wanted = results.variants.get(base)
    if wanted is None:
        return []
    rest = {k: v for k, v in wanted.items() if k not in ("ar_steps", "seeds")}
    points = []
    for variant, settings in results.variants.items():
        row, steps = results.metric(variant, DISTANCE), results.ar_steps(variant)
        if row and steps and {k: v for k, v in settings.items() if k not in ("ar_steps", "seeds")} == rest:
            points.append((float(steps), row.estimate, variant))
    return sorted(points, key=lambda point: point[0])


def _series(
    axes: Axes, points: Sequence[Point], label: str, variant: str, names: Callable[[str], str] | None = None
) -> None:
    if not points:
        return
    points = sorted(points, key=lambda point: point[0])
    x, y = [p[0] for p in points], [p[1].value for p in points]
    axes.errorbar(
        x,
        y,
        yerr=_bars([p[1] for p in points]),
        fmt="o-",
        color=colour(variant),
        label=label,
        capsize=2.5,
        elinewidth=1,
    )
    if names:
        for point in points:
            axes.annotate(
                names(point[2]),
                (point[0], point[1].value),
                xytext=(5, 5),
                textcoords="offset points",
                fontsize=8,
            )


def _bars(estimates: Sequence[Estimate]) -> list[list[float]]:
    lower = [e.value - e.low if e.has_interval else 0.0 for e in estimates]
    upper = [e.high - e.value if e.has_interval else 0.0 for e in estimates]
    return [[max(0.0, x) for x in lower], [max(0.0, x) for x in upper]]


def _level(axes: Axes, estimate: Estimate, label: str, shade: str) -> None:
    axes.axhline(estimate.value, color=shade, label=label)
    if estimate.has_interval:
        axes.axhspan(estimate.low, estimate.high, color=shade, alpha=0.15, linewidth=0)


def _floor(axes: Axes, results: Results, name: str = DISTANCE) -> None:
    """The real images' own value: what a perfect model would score."""
    value = results.real_value(name)
    if value is not None:
        axes.axhline(value, color=colour("real"), linestyle=":", label="real images")


def _logarithmic(axes: Axes, at: Sequence[float] = ()) -> None:
    """A log scale with ticks at 1, 2, 5, 10, ..., or at the given values."""
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(sorted(set(at))) if at else LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _wide_range(axes: Axes, points: Sequence[Point]) -> None:
    """A log scale upwards where one distance would press the others flat."""
    values = [p[1].value for p in points]
    if min(values) <= 0 or max(values) < WIDE_RANGE * min(values):
        return
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _steps_label(variant: str) -> str:
    return variant.removeprefix("teacher-")


def _distance(results: Results) -> str:
    judge = next((rows[DISTANCE].judge for rows in results.metrics.values() if DISTANCE in rows), "")
    return f"Fréchet distance\n({judge})" if judge else "Fréchet distance"


def _told(points: Sequence[Point], x: Callable[[float], str]) -> str:
    """The figure in words."""
    shown = [p for p in points if math.isfinite(p[1].value)]
    return "; ".join(f"{variant} at {x(at)}: {interval(estimate)}" for at, estimate, variant in shown)
