"""Unseen judges against diversity: reward fine-tuning beside students of larger guidance scales."""

from __future__ import annotations

from matplotlib.figure import Figure

from reports.claims.compare import DIVERSITY
from reports.figures.style import GREY, WIDE, Drawing, colour, finish
from reports.paper import Paper
from reports.results import Results
from reports.roles import Role
from reports.wording import interval, number


def against_diversity(results: Results, paper: Paper) -> Drawing | None:
    """One panel for each unseen judge; a tuned model above the line does more than guidance at equal diversity."""
    tuned = _tuned(results)
    judges = [name for name in paper.findings["F4"]["judges"] if any(results.metric(v, name) for v in tuned)]
    frontier = list(results.roles.guidance_frontier.values())
    if not judges or len(frontier) < 3:
        return None
    figure = Figure(figsize=(WIDE, 2.7 * len(judges)))
    words = []
    for axes, judge in zip(figure.subplots(len(judges), 1, squeeze=False).flat, judges, strict=True):
        line = [
            (d, s)
            for v in frontier
            if (d := results.metric(v, DIVERSITY)) and (s := results.metric(v, judge))
        ]
        line.sort(key=lambda pair: pair[0].estimate.value)
        x, y = ([row.estimate.value for row in rows] for rows in zip(*line, strict=True))
        axes.plot(x, y, "o-", color=colour(Role.STUDENT), label="distilled, by guidance scale")
        for w, variant in results.roles.guidance_frontier.items():
            d, s = results.metric(variant, DIVERSITY), results.metric(variant, judge)
            if d and s:
                place = (d.estimate.value, s.estimate.value)
                axes.annotate(f"{w:g}", place, xytext=(4, -10), textcoords="offset points", fontsize=8)
        for variant in tuned:
            d, s = results.metric(variant, DIVERSITY), results.metric(variant, judge)
            if d and s:
                shade = colour(results.roles.of(variant))
                axes.plot([d.estimate.value], [s.estimate.value], "D", color=shade, label=variant)
                words.append(
                    f"{results.title(judge)} of {variant}: {interval(s.estimate)} at a variance of {number(d.estimate.value)}"
                )
        if (real := results.real_value(DIVERSITY)) is not None:
            axes.axvline(real, color=GREY, linestyle=":", label="real images")
        axes.set(xlabel=results.title(DIVERSITY).lower(), ylabel=results.title(judge), xscale="log")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.xaxis.set_minor_formatter(lambda value, _: "")
        axes.set_xticks([t for t in (1, 2, 3, 4, 5, 6, 8, 10) if min(x) * 0.9 <= t <= max(x) * 1.1])
    figure.axes[0].legend()
    caption = (
        "Does reward fine-tuning do more than guidance? Unseen judges against within-class variance; the students of every "
        "guidance scale are a line. A fine-tuned model above it scores higher than a student as diverse; one on it has "
        "only narrowed the images."
    )
    return finish(figure, "quality-diversity", caption, "; ".join(words))


def _tuned(results: Results) -> list[str]:
    """Variants of models that were tuned by reward, the claim's first."""
    models = (results.settings.get("reinforce") or {}).get("variants") or {}
    names = [v for v in results.roles.variants if results.roles.model(v) in models]
    return sorted(names, key=lambda v: results.roles.of(v) is not Role.REINFORCED)
