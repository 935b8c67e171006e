"""Does reward fine-tuning beat the guidance frontier at equal diversity?

A judge that prefers typical images is raised by whatever narrows the images, and so by a little more guidance in distillation,
without any reward. The question is whether the fine-tuned model scores higher than a student without reward that is just as
diverse. The students of different guidance scales form a frontier: judge's score against within-class variance. It is
interpolated, linearly in the logarithm of the variance, at the variance of the fine-tuned model.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reports.claims.compare import DIVERSITY, Held, incomparable, rows_of
from reports.claims.model import Claim, Part, above
from reports.formats import Metric
from reports.intervals import Estimate, Halves, from_halves
from reports.paper import Paper
from reports.results import Results
from reports.roles import Role
from reports.scope import scope_of
from reports.wording import interval, number

Point = tuple[float, float]  # within-class variance, judge's score


def check(entry: dict[str, Any], results: Results, paper: Paper) -> Claim:
    """Every unseen judge has to be above the frontier; other fine-tuned models stand beside."""
    tuned = results.roles.the(Role.REINFORCED)
    margin, gap = (float(entry["tolerances"][name]["value"]) for name in ("gain", "gap"))
    judges = [name for name in entry["judges"] if not is_training_reward(results, tuned, name)]
    parts = [_part(results, tuned, name, margin, gap) for name in judges]
    return Claim(
        entry,
        scope=str(scope_of(results, paper)),
        quantity=f"{results.title(judges[0])} above the guidance frontier at equal diversity"
        if judges
        else "",
        paper=None,
        estimate=parts[0].estimate if parts else None,
        parts=parts,
        beside=[
            line for other in _others(results, tuned) for line in _beside(results, other, judges, margin, gap)
        ],
    )


def is_training_reward(results: Results, tuned: str, judge: str) -> bool:
    """Whether a model was fine-tuned to please this judge, which then says nothing."""
    row = results.metric(tuned, judge)
    return bool(row and row.is_training_reward)


def _part(results: Results, tuned: str, judge: str, margin: float, gap: float) -> Part:
    held = Held(f"{results.title(judge)} at equal diversity", above, margin)
    frontier = [v for v in results.roles.guidance_frontier.values() if results.metric(v, judge)]
    if len(frontier) < 3:
        return held.missing(f"a frontier needs three guidance scales, measured: {len(frontier)}")
    pairs = [rows_of(results, name, tuned, *frontier) for name in (judge, DIVERSITY)]
    if missing := next((pair for pair in pairs if isinstance(pair, str)), ""):
        return held.missing(missing)
    scores, variances = (pair for pair in pairs if not isinstance(pair, str))
    trouble = incomparable(*scores)
    here, *span = (row.estimate.value for row in variances)
    if (apart := _apart(here, span)) > gap:
        return held.missing(
            f"the frontier's students beside {tuned} differ {number(apart)} times in variance, above {number(gap)}: too far "
            "for a straight line between them; distil at scales between (role frontier)"
        )
    estimate = _above_frontier(variances, scores)
    if estimate is None:
        return held.missing(
            f"{tuned} has a within-class variance of {number(here)}, outside the frontier's {number(min(span))} to "
            f"{number(max(span))}, or the models have no seed in common"
        )
    sentence = (
        f"{results.title(judge)} of {tuned} is {interval(estimate)} above the students without reward of the same within-class "
        f"variance, {number(variances[0].estimate.value)}"
    )
    return held.part(estimate, sentence, _files(scores, variances), trouble)


def _files(*groups: Sequence[Metric]) -> tuple[Path, ...]:
    return tuple(dict.fromkeys(row.file for group in groups for row in group))


def _above_frontier(variances: Sequence[Metric], scores: Sequence[Metric]) -> Estimate | None:
    """The first model's score less the others' frontier at its variance; None outside the frontier or without common halves.

    Of the first common seed, from the whole sets; its spread from the random halves that all of them share.
    """
    rows = [*variances, *scores]
    common = [seed for seed in rows[0].estimate.seeds if all(seed in row.estimate.seeds for row in rows)]
    if not common or not all(row.estimate.halves for row in rows):
        return None
    seed = common[0]
    ours = [
        (v.estimate.of_seeds([seed]), s.estimate.of_seeds([seed]))
        for v, s in zip(variances, scores, strict=True)
    ]
    if len({e.halves[0].id for pair in ours for e in pair}) > 1:
        return None
    value = _excess([(v.value, s.value) for v, s in ours])
    halves = np.array([[(v.halves[0].values, s.halves[0].values) for v, s in ours]])[0]  # (models, 2, H)
    each = [_excess([(float(v), float(s)) for v, s in halves[:, :, h]]) for h in range(halves.shape[2])]
    found = [x for x in each if x is not None]
    if value is None or len(found) < len(each):
        return None
    return from_halves(value, seed, Halves(ours[0][0].halves[0].id, tuple(found)))


def _excess(points: Sequence[Point]) -> float | None:
    """The first point's score less the frontier of the others; None where its variance lies outside theirs."""
    (variance, score), *frontier = points
    at, level = np.array(sorted(frontier)).T
    if not at[0] <= variance <= at[-1]:
        return None
    return score - float(np.interp(np.log(variance), np.log(at), level))


def _apart(variance: float, frontier: Sequence[float]) -> float:
    """How many times the next larger variance of the frontier is the next smaller one; 1 outside of it."""
    larger, smaller = [v for v in frontier if v >= variance], [v for v in frontier if v <= variance]
    return min(larger) / max(smaller) if larger and smaller else 1.0


def _others(results: Results, tuned: str) -> list[str]:
    """Further models that were tuned by reward."""
    models = (results.settings.get("reinforce") or {}).get("variants") or {}
    return [v for v in results.roles.variants if results.roles.model(v) in models and v != tuned]


def _beside(results: Results, tuned: str, judges: Sequence[str], margin: float, gap: float) -> list[str]:
    parts = [_part(results, tuned, judge, margin, gap) for judge in judges]
    return [f"{tuned}: {part.why}." for part in parts if part.estimate]
