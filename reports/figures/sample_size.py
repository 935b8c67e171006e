"""How much of a Frechet distance is bias of a finite number of images: distance against 1/n, extrapolated to infinitely many.

The bias of the distance is proportional to 1/n (Chong & Forsyth, arXiv 1911.07023), so figures of different n do not compare.
"""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.claims.compare import DISTANCE
from reports.figures.style import Drawing, colour, finish
from reports.formats import Metric
from reports.intervals import Estimate
from reports.paper import Paper
from reports.results import Results
from reports.roles import REAL
from reports.wording import number

INFINITY = "frechet_distance_infinity"


def against_sample_size(results: Results, paper: Paper) -> Drawing | None:
    """Distance against 1/n for the paper's teacher, the student and the real images."""
    variants = [*results.roles.pair(paper.teacher_steps), REAL]
    found = [(v, results.metric(v, DISTANCE), results.metric(v, INFINITY)) for v in variants]
    drawn = [(v, row, limit) for v, row, limit in found if row and limit and row.curve]
    if not drawn:
        return None
    figure = Figure()
    axes = figure.subplots()
    for variant, row, limit in drawn:
        _series(axes, variant, colour(results.roles.of(variant)), row, limit.estimate)
    axes.set(xlabel="1000 / number of images", ylabel=f"Fréchet distance\n({drawn[0][1].judge})")
    axes.legend()
    caption = (
        "Fréchet distance against the number of images, first seed (dots: random subsets), and extrapolated to infinitely "
        "many (squares at 0). A distance of few images is biased upward: compare only equal numbers of images, and never a "
        "figure of 1,000 images with one of 50,000."
    )
    return finish(figure, "distance-sample-size", caption, "; ".join(_in_words(*one) for one in drawn))


def _series(axes: Axes, label: str, hue: str, row: Metric, limit: Estimate) -> None:
    """The distance of fewer and fewer images, and what it tends to with its interval."""
    axes.plot([1000 / n for n, _ in row.curve], [d for _, d in row.curve], "o", color=hue, label=label)
    reach = [[max(0.0, limit.value - limit.low)], [max(0.0, limit.high - limit.value)]]
    axes.errorbar([0], [limit.value], yerr=reach, fmt="s", color=hue, capsize=2.5)


def _in_words(variant: str, row: Metric, limit: Metric) -> str:
    most = max(n for n, _ in row.curve)
    values = [number(found.estimate.value) for found in (row, limit)]
    return f"{variant}: {values[0]} at n = {most}, {values[1]} extrapolated"
