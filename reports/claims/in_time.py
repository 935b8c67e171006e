"""F2: whether any training-free rival is as good as the student in the student's time, regime by regime."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from reports.claims.as_good import (
    Rival,
    decided_by,
    files_of,
    finding,
    judged,
    rivals_in,
    tolerance,
    training_free,
)
from reports.claims.model import NON_INFERIORITY, Claim, Part, Verdict
from reports.methods import settings_timed
from reports.paper import Paper
from reports.regimes import timed
from reports.results import Results
from reports.roles import Role


def check(entry: dict[str, Any], results: Results, paper: Paper) -> Claim:
    """One part for each regime: `judged` says when it holds and when it fails."""
    regimes = settings_timed(results) if training_free(results) else []
    return finding(entry, results, paper, [_part(entry, results, *regime) for regime in regimes])


def _part(entry: dict[str, Any], results: Results, batch: int, mode: str) -> Part:
    student = results.roles.the(Role.STUDENT)
    none = Part(f"batch {batch}, {mode}", Verdict.NOT_ATTEMPTED, "", level=NON_INFERIORITY)
    own = timed(results, student, batch, mode)
    if own is None:
        return replace(none, why=f"{student} was not timed")
    rivals = rivals_in(entry, results, batch, mode, own, tolerance(entry, "time_ratio"))
    if not rivals:
        return replace(none, why="no training-free rival was timed")
    judgement = judged(rivals)
    in_time = [rival for rival in rivals if not rival.is_slower]
    if not in_time:
        why = f"none of the {len(rivals)} training-free rivals makes an image in the student's time"
        return replace(none, verdict=judgement.verdict, why=why, files=files_of(rivals))
    shown = decided_by(in_time, judgement, _distance)
    part = next((p for p in shown.quality if p.verdict is Verdict.NOT_REPRODUCED), shown.distance)
    why = f"rivals that are not clearly slower: {len(in_time)} of {len(rivals)}, among them {shown.name}: {part.why}"
    return replace(
        none,
        verdict=judgement.verdict,
        why=why,
        estimate=part.estimate,
        bound=part.bound,
        files=files_of(in_time),
        p_fails=judgement.p_fails,
        side=None if part.side is None else -part.side,  # the finding holds where the rival's bound is broken
    )


def _distance(rival: Rival) -> float:
    return rival.distance.estimate.value if rival.distance.estimate else float("inf")
