"""Reward fine-tuning step by step: does the training reward carry the unseen judges along, or leave them behind?"""

from __future__ import annotations

import re

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from reports.claims.compare import DISTANCE
from reports.figures.style import COLOURS, SEQUENCE, Drawing, finish
from reports.results import Results
from reports.wording import METRICS, number

REWARD = "reward"


def reward_hacking(results: Results) -> Drawing | None:
    """Mean over seeds of each quantity, moved to 0 at the first step and scaled to 1 at its largest change."""
    runs = [_with_reward(c) for name, c in results.curves.items() if re.fullmatch(r"marval-rl-s\d+", name)]
    names = [n for n in (REWARD, *METRICS) if all(n in run for run in runs)] if runs else []
    if REWARD not in names or len(names) < 2:
        return None
    figure = Figure()
    axes = figure.subplots()
    told = []
    for i, name in enumerate(names):
        steps, mean = _mean(runs, name)
        if len(steps) < 2:
            continue
        change = mean - mean[0]
        axes.plot(
            steps,
            change / (np.abs(change).max() or 1.0),
            color=COLOURS["real"] if name == REWARD else SEQUENCE[i % len(SEQUENCE)],
            linestyle="--" if name == DISTANCE else "-",
            marker="o" if len(steps) < 30 else None,
            label=_label(name),
        )
        told.append(f"{_label(name)} from {number(float(mean[0]))} to {number(float(mean[-1]))}")
    axes.axhline(0, color=COLOURS["real"], linewidth=0.8)
    axes.set(xlabel="step of reward fine-tuning", ylabel="change since the start\n(largest change = 1)")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    caption = (
        "Training reward, unseen judges and distance during reward fine-tuning, mean over seeds. Judges that rise with the "
        "reward are a gain; a distance that rises with it is the price."
    )
    return finish(figure, "reward-hacking", caption, "; ".join(told))


def _with_reward(columns: dict[str, list[float]]) -> dict[str, list[float]]:
    """The loss of reward fine-tuning is minus the reward."""
    if REWARD in columns or "loss_reward" not in columns:
        return columns
    return columns | {REWARD: [-x for x in columns["loss_reward"]]}


def _mean(runs: list[dict[str, list[float]]], name: str) -> tuple[NDArray, NDArray]:
    """Steps at which every run has the quantity, and its mean there."""
    known = [
        {s: v for s, v in zip(run["step"], run[name], strict=True) if np.isfinite(v)}
        for run in runs
        if "step" in run
    ]
    steps = sorted(set.intersection(*map(set, known))) if known else []
    return np.array(steps), np.array([np.mean([run[s] for run in known]) for s in steps])


def _label(name: str) -> str:
    return "training reward" if name == REWARD else METRICS[name]
