"""F1: how many times faster the student is than the fastest training-free rival of its quality, regime by regime."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from reports.claims.as_good import decided_by, files_of, finding, judged, rivals_in, tolerance, training_free
from reports.claims.model import NON_INFERIORITY, Claim, Part, Verdict
from reports.methods import settings_timed
from reports.paper import Paper
from reports.regimes import timed
from reports.results import Results
from reports.roles import Role
from reports.wording import interval, limit, seconds


def check(entry: dict[str, Any], results: Results, paper: Paper) -> Claim:
    """One part for each regime: `judged` says when it holds and when it fails.

    The factor is over the fastest rival that is not clearly worse, so that doubt never makes the student look faster; and a rival
    of doubtful quality refutes nothing.
    """
    regimes = settings_timed(results) if training_free(results) else []
    return finding(entry, results, paper, [_part(entry, results, *regime) for regime in regimes])


def _part(entry: dict[str, Any], results: Results, batch: int, mode: str) -> Part:
    bound = tolerance(entry, "speedup")
    none = Part(f"batch {batch}, {mode}", Verdict.NOT_ATTEMPTED, "", None, bound, level=NON_INFERIORITY)
    own = timed(results, results.roles.the(Role.STUDENT), batch, mode)
    # so many times faster is a rival's time over the student's, which a match keeps below the bound
    rivals = rivals_in(entry, results, batch, mode, own, bound) if own else []
    left = [rival for rival in rivals if not rival.is_worse]
    if own is None or not left:
        return replace(none, why="no training-free rival of the student's quality was timed beside it")
    judgement = judged(rivals)
    shown = decided_by(left, judgement, lambda rival: rival.seconds)
    times = shown.time.estimate
    assert times is not None
    sure = all(part.verdict is Verdict.REPRODUCED for part in shown.quality)
    why = (
        f"the fastest rival {'shown to be as good' if sure else 'not shown to be worse'}, {shown.name}, takes "
        f"{seconds(shown.seconds)} for an image and the student {seconds(own.estimate.value)}: {interval(times)} times, "
        f"required above {limit(bound)}"
    )
    return replace(
        none,
        verdict=judgement.verdict,
        why=why,
        estimate=times,
        files=files_of(left),
        p_fails=judgement.p_fails,
        side=1,
    )
