"""Reward fine-tuning step by step: does the training reward carry the unseen judges along, or leave them behind?"""

from __future__ import annotations

import math

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from reports.claims.compare import DISTANCE
from reports.figures.style import GREY, SEQUENCE, Drawing, finish
from reports.formats import Watch
from reports.results import Results, run_of
from reports.roles import Role
from reports.wording import number

STEP = "step"


def reward_hacking(results: Results) -> Drawing | None:
    """Mean over seeds of each quantity, moved to 0 at the first step and scaled to 1 at its largest change."""
    runs = _runs(results)
    means = {name: _mean(runs, name) for name in _quantities(runs)}
    drawn = {name: mean for name, mean in means.items() if len(mean[0]) > 1}
    if len(drawn) < 2:
        return None
    figure = Figure()
    axes = figure.subplots()
    labels = {name: results.title(name) for name in drawn} | {runs[0].reward: "training reward"}
    for i, (name, (steps, mean)) in enumerate(drawn.items()):
        change = mean - mean[0]
        axes.plot(
            steps,
            change / (np.abs(change).max() or 1.0),
            color=GREY if name == runs[0].reward else SEQUENCE[i % len(SEQUENCE)],
            linestyle="--" if name == DISTANCE else "-",
            marker="o" if len(steps) < 30 else None,
            label=labels[name],
        )
    axes.axhline(0, color=GREY, linewidth=0.8)
    axes.set(xlabel="step of reward fine-tuning", ylabel="change since the start\n(largest change = 1)")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    caption = (
        "Training reward, unseen judges and distance during reward fine-tuning, mean over seeds. Judges that rise with the "
        "reward are a gain; a distance that rises with it is the price."
    )
    ends = [(labels[name], float(mean[0]), float(mean[-1])) for name, (_, mean) in drawn.items()]
    words = "; ".join(f"{label} from {number(first)} to {number(last)}" for label, first, last in ends)
    return finish(figure, "reward-hacking", caption, words)


def _runs(results: Results) -> list[Watch]:
    """The seeds of the model whose variant the claim is about."""
    models = [results.roles.model(variant) for variant in results.roles.named(Role.REINFORCED)]
    return [watch for stem, watch in results.watches.items() if run_of(stem)[0] in models]


def _quantities(runs: list[Watch]) -> list[str]:
    """What every run was measured by, the training reward first; none where a run lacks its reward."""
    columns = [dict.fromkeys(key for row in run.rows for key in row) for run in runs]
    names = [name for name in columns[0] if name != STEP and all(name in c for c in columns)] if runs else []
    return sorted(names, key=lambda name: name != runs[0].reward) if runs and runs[0].reward in names else []


def _mean(runs: list[Watch], name: str) -> tuple[NDArray, NDArray]:
    """Steps at which every run has the quantity, and its mean there."""
    known = [
        {row[STEP]: row[name] for row in run.rows if math.isfinite(row.get(name, math.nan))} for run in runs
    ]
    steps = sorted(set.intersection(*map(set, known))) if known else []
    return np.array(steps), np.array([np.mean([run[s] for run in known]) for s in steps])
