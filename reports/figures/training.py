"""Training curves, a small panel for each column of a stage's file and a line for each seed."""

from __future__ import annotations

from itertools import cycle

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.figures.style import SEQUENCE, WIDE, Drawing, finish
from reports.results import Results, natural, run_of
from reports.wording import number, plural

CURVES = "curves-"  # of the drawings' ids
JUDGES = "judges"  # the one drawing of all judges
LEFT_OUT = ("step", "seconds")
TITLES = {
    "loss_reconstruction": "loss, reconstruction",
    "loss_kl": "loss, KL",
    "loss_mse": "loss, squared error of noise",
    "loss_vlb": "loss, variational bound",
    "loss_l1": "loss of the student, L1",
    "loss_l2": "loss of the student, L2",
    "loss_auxiliary": "loss of the auxiliary network",
    "loss_reward": "loss (minus the reward)",
    "reward": "training reward",
}
PREFIXES = {"loss_": "loss, ", "grad_norm_": "gradient norm, ", "ema_distance_": "distance to EMA, "}
PANELS = 6
ACROSS = 5  # entries of a legend that fit side by side
POINTS = 300  # drawn for each line; longer curves are averaged in groups


def training_curves(results: Results) -> list[Drawing]:
    """A drawing for each training that left curves; files NAME-sSEED.csv of one NAME share it."""
    groups: dict[str, list[str]] = {}
    for stem in sorted(results.curves, key=natural):
        groups.setdefault(run_of(stem)[0], []).append(stem)
    main = main_curves(results)

    def place(name: str) -> tuple[int, list[object]]:
        id = f"{CURVES}{name}"
        return main.index(id) if id in main else len(main), natural(name)

    ordered = sorted(groups.items(), key=lambda item: place(item[0]))
    drawings = [_drawing(results, name, stems) for name, stems in ordered]
    return [drawing for drawing in drawings if drawing]


def main_curves(results: Results) -> list[str]:
    """Ids of the drawings that everybody looks at: those of the trainings that the claims rest on, in order."""
    return [f"{CURVES}{name}" for name in ("tokenizer", JUDGES, *results.roles.models)]


def _drawing(results: Results, name: str, stems: list[str]) -> Drawing | None:
    curves = {stem: results.curves[stem] for stem in stems}
    columns = list(dict.fromkeys(c for curve in curves.values() for c in curve if c not in LEFT_OUT))[:PANELS]
    if not columns:
        return None
    across = 2 if len(columns) > 1 else 1
    down = -(-len(columns) // across)
    figure = Figure(figsize=(WIDE, 1.9 * down + 0.3))
    grid = figure.subplots(down, across, squeeze=False)
    for axes in grid.flat[len(columns) :]:
        axes.set_visible(False)
    for axes, column in zip(grid.flat, columns, strict=False):
        axes.set_title(_title(name, column), fontsize=8.5)
        axes.set_xlabel("step")
        _panel(axes, curves, column)
    if len(stems) > 1:
        handles, labels = grid.flat[0].get_legend_handles_labels()
        figure.legend(
            handles, labels, loc="outside lower center", ncols=-(-len(labels) // -(-len(labels) // ACROSS))
        )
    caption = f"Training curves of {name} ({plural(len(stems), 'run')})."
    words = "; ".join(_in_words(results, stem, columns) for stem in stems)
    return finish(figure, f"{CURVES}{name}", caption, words)


def _panel(axes: Axes, curves: dict[str, dict[str, list[float]]], column: str) -> None:
    """A line for each run that has the column, in the run's own colour."""
    for (stem, curve), hue in zip(curves.items(), cycle(SEQUENCE), strict=False):
        if column in curve:
            x, y = _thinned(curve.get("step") or list(range(len(curve[column]))), curve[column])
            marker = "o" if len(x) < 3 else None  # a line of one point is invisible
            axes.plot(x, y, marker=marker, color=hue, linewidth=1.2, label=_line(stem))


def _title(name: str, column: str) -> str:
    """What a column holds; the judges' columns hold the loss of each judge."""
    if name == JUDGES:
        return f"loss of {column}"
    for prefix, words in PREFIXES.items():
        if column.startswith(prefix) and column not in TITLES:
            return words + column.removeprefix(prefix)
    return TITLES.get(column) or column.replace("_", " ")


def _thinned(x: list[float], y: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """Points that exist, averaged in groups down to POINTS."""
    at, values = np.asarray(x, float), np.asarray(y, float)
    known = np.isfinite(values) & np.isfinite(at)
    at, values = at[known], values[known]
    groups = min(POINTS, len(values))
    if groups == len(values):
        return at, values
    return (np.array([part.mean() for part in np.array_split(series, groups)]) for series in (at, values))  # type: ignore[return-value]


def _line(stem: str) -> str:
    _, seed = run_of(stem)
    return stem if seed is None else f"seed {seed}"


def _in_words(results: Results, stem: str, columns: list[str]) -> str:
    curve = results.curves[stem]
    ends = []
    for column in columns:
        known = [v for v in curve.get(column, []) if np.isfinite(v)]
        if known:
            ends.append(f"{column} from {number(known[0])} to {number(known[-1])}")
    return f"{stem}: {', '.join(ends)}"
