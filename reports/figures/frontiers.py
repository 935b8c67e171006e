"""Quality against what is paid for it: seconds, diffusion steps, AR steps, guidance."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter

from reports.claims.compare import DISTANCE, DIVERSITY
from reports.figures.style import FAMILY_COLOURS, GREY, WIDE, Drawing, colour, finish
from reports.intervals import Estimate
from reports.methods import Family, family, frontier, settings_timed
from reports.paper import Paper
from reports.regimes import single_image, timed
from reports.results import Results
from reports.roles import Role
from reports.wording import interval, number, seconds

WIDE_RANGE = 20  # largest over smallest distance
ONE_STEP = (Role.STUDENT, Role.REINFORCED)  # drawn beside the teachers
Point = tuple[float, Estimate, str]  # x, y with interval, variant


def against_seconds(results: Results, paper: Paper) -> Drawing | None:
    """The paper's Figure 1: distance against seconds for an image, every number of diffusion steps of the teacher."""
    points: list[Point] = []
    for variant in [*results.roles.teachers.values(), *results.roles.named(*ONE_STEP)]:
        timed, scored = single_image(results, variant), results.metric(variant, DISTANCE)
        if timed and scored:
            points.append((timed.estimate.value, scored.estimate, variant))
    if not points:
        return None
    figure, axes = _axes("seconds for one image (batch 1, eager; log scale)", _distance(results))
    _series(
        axes,
        [p for p in points if results.roles.of(p[2]) is Role.TEACHER],
        "teacher, by diffusion steps",
        Role.TEACHER,
        {variant: str(steps) for steps, variant in results.roles.teachers.items()},
    )
    for variant in results.roles.named(*ONE_STEP):
        _series(axes, [p for p in points if p[2] == variant], variant, results.roles.of(variant))
    _logarithmic(axes)
    _wide_range(axes, points)
    _floor(axes, results)
    axes.legend()
    caption = (
        "Quality against time (the paper's Figure 1), with the teacher at every number of diffusion steps: the frontier "
        "that one step has to beat. Lower and further left is better. All times are of batch 1, eager, on one machine, as in the "
        "paper."
    )
    return finish(figure, "quality-seconds", caption, _in_words(points, lambda x: seconds(x)))


def every_method_singly(results: Results, paper: Paper) -> Drawing | None:
    """Every variant of any role, distance against seconds, with the Pareto frontier, in the first regime: one image at a time."""
    caption = (
        "Quality against time, every method: lower and further left is better. Bars are 95% intervals of both; the line joins "
        "the methods than which none is both faster and better (by the values themselves: one near the line may belong on it)."
    )
    return _every_method(results, settings_timed(results)[:1], "quality-methods", caption)


def every_method_in_batches(results: Results, paper: Paper) -> Drawing | None:
    """The same in the last regime: the largest batch, as fast as it goes."""
    caption = "The same methods where time is best spent: many images at once, by the optimised sampler."
    return _every_method(results, settings_timed(results)[1:][-1:], "quality-methods-batch", caption)


def _every_method(
    results: Results, regimes: Sequence[tuple[int, str]], id: str, caption: str
) -> Drawing | None:
    """One panel of the one regime that is given, if any."""
    points = [point for batch, mode in regimes for point in _methods(results, batch, mode)]
    if len(points) < 2:
        return None
    [(batch, mode)] = regimes
    figure, axes = _axes(f"seconds for one image (batch {batch}, {mode}; log scale)", _distance(results))
    _families(axes, results, points)
    best = frontier(results, DISTANCE, batch, mode)
    _staircase(axes, [point for point in points if point[2] in best])
    _logarithmic(axes)
    _wide_range(axes, [(x.value, y, name) for x, y, name in points])
    _floor(axes, results)
    axes.legend(fontsize=7.5)
    told = _in_words([(x.value, y, name) for x, y, name in points], lambda x: seconds(x))
    return finish(figure, id, caption, f"batch {batch}, {mode}: frontier {', '.join(best)}; {told}")


def against_diffusion_steps(results: Results, paper: Paper) -> Drawing | None:
    """Distance of the teacher against its diffusion steps, with the student as a level."""
    teachers = results.roles.teachers.items()
    found = [(steps, variant, results.metric(variant, DISTANCE)) for steps, variant in teachers]
    points: list[Point] = [(float(steps), row.estimate, variant) for steps, variant, row in found if row]
    if len(points) < 2:
        return None
    figure, axes = _axes("diffusion steps for each AR step (log scale)", _distance(results))
    _series(axes, points, "teacher", Role.TEACHER)
    for variant in results.roles.named(*ONE_STEP):
        row = results.metric(variant, DISTANCE)
        if row:
            _level(axes, row.estimate, f"{variant} (one evaluation)", colour(results.roles.of(variant)))
            points.append((1.0, row.estimate, variant))
    _logarithmic(axes, [p[0] for p in points])
    _wide_range(axes, points)
    _floor(axes, results)
    axes.legend()
    caption = "Quality of the teacher by diffusion steps; bands are the one-step models with their intervals."
    return finish(
        figure,
        "quality-diffusion-steps",
        caption,
        _in_words(points, lambda x: f"{number(x)} diffusion steps"),
    )


def against_ar_steps(results: Results, paper: Paper) -> Drawing | None:
    """Distance against AR steps, for variants that differ from a standard one in nothing else."""
    bases = [*results.roles.pair(paper.teacher_steps), *results.roles.named(Role.REINFORCED)]
    groups = {base: _ar_variants(results, base) for base in bases}
    groups = {base: points for base, points in groups.items() if len(points) > 1}
    if not groups:
        return None
    figure, axes = _axes("AR steps K (log scale)", _distance(results))
    for base, points in groups.items():
        _series(axes, points, base, results.roles.of(base))
    shown = [point for points in groups.values() for point in points]
    _logarithmic(axes, [p[0] for p in shown])
    axes.legend()
    return finish(
        figure,
        "quality-ar-steps",
        "Quality against the number of AR steps.",
        _in_words(shown, lambda x: f"K = {number(x)}"),
    )


def against_guidance(results: Results, paper: Paper) -> Drawing | None:
    """Distance and diversity against the guidance scale of distillation."""
    grid = results.roles.guidance_grid
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
            ylabel=_distance(results) if name == DISTANCE else results.title(name).lower(),
        )
        _series(axes, points, "one step", Role.STUDENT)
        _floor(axes, results, name)
        axes.legend()
    words = "; ".join(
        f"{results.title(name)}: {_in_words(points, lambda x: f'w = {x:g}')}" for name, points in columns
    )
    return finish(
        figure,
        "quality-guidance",
        "Distance and diversity against the guidance scale of distillation (Table 3).",
        words,
    )


# --- parts of a figure --------------------------------------------------------------------------------


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
    points = []
    for variant in results.roles.differing_in("ar_steps", base):
        row, steps = results.metric(variant, DISTANCE), results.ar_steps(variant)
        if row and steps:
            points.append((float(steps), row.estimate, variant))
    return sorted(points, key=lambda point: point[0])


def _methods(results: Results, batch: int, mode: str) -> list[tuple[Estimate, Estimate, str]]:
    """(seconds, distance, variant) of all that were timed, or run the same steps as one that was, and scored."""
    found = []
    for variant in results.variants:
        row, scored = timed(results, variant, batch, mode), results.metric(variant, DISTANCE)
        if row and scored:
            found.append((row.estimate, scored.estimate, variant))
    return found


def _families(axes: Axes, results: Results, points: Sequence[tuple[Estimate, Estimate, str]]) -> None:
    for kind in Family:
        own = [point for point in points if family(results, point[2]) is kind]
        if own:
            axes.errorbar(
                [x.value for x, _, _ in own],
                [y.value for _, y, _ in own],
                xerr=_bars([x for x, _, _ in own]),
                yerr=_bars([y for _, y, _ in own]),
                fmt="o",
                markersize=3.5,
                color=FAMILY_COLOURS[kind],
                label=str(kind),
                elinewidth=0.8,
            )


def _staircase(axes: Axes, points: Sequence[tuple[Estimate, Estimate, str]]) -> None:
    """The frontier, its methods by name."""
    points = sorted(points, key=lambda point: point[0].value)
    x, y = [p[0].value for p in points], [p[1].value for p in points]
    axes.step(x, y, where="post", color=GREY, linewidth=1, linestyle="--", label="Pareto frontier")
    for seconds_, distance, variant in points:
        place = (seconds_.value, distance.value)
        axes.annotate(variant, place, xytext=(4, -9), textcoords="offset points", fontsize=7)


def _series(
    axes: Axes,
    points: Sequence[Point],
    label: str,
    role: Role | None,
    names: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Points with their intervals, joined by a line; `names` are written beside the points of these variants."""
    if not points:
        return
    points = sorted(points, key=lambda point: point[0])
    x, y = [p[0] for p in points], [p[1].value for p in points]
    axes.errorbar(
        x,
        y,
        yerr=_bars([p[1] for p in points]),
        fmt="o-",
        color=colour(role),
        label=label,
        capsize=2.5,
        elinewidth=1,
    )
    for at, estimate, variant in points:
        if variant in names:
            place = (at, estimate.value)
            axes.annotate(names[variant], place, xytext=(5, 5), textcoords="offset points", fontsize=8)


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
        axes.axhline(value, color=GREY, linestyle=":", label="real images")


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


def _distance(results: Results) -> str:
    judge = next((rows[DISTANCE].judge for rows in results.metrics.values() if DISTANCE in rows), "")
    return f"Fréchet distance\n({judge})" if judge else "Fréchet distance"


def _in_words(points: Sequence[Point], x: Callable[[float], str]) -> str:
    """The figure in words."""
    shown = [p for p in points if math.isfinite(p[1].value)]
    return "; ".join(f"{variant} at {x(at)}: {interval(estimate)}" for at, estimate, variant in shown)
