"""F2: whether any training-free rival is as good as the student in the student's time, regime by regime."""

from __future__ import annotations

from typing import Any

from reports.claims.as_good import as_good, finding, tolerance, verdict
from reports.claims.model import Claim, Part, Verdict
from reports.methods import Family, of_family, settings_timed
from reports.paper import Paper
from reports.regimes import timed
from reports.results import Results
from reports.roles import Role

# the finding says that no rival is as good: one that is refutes it
REVERSED = {
    Verdict.REPRODUCED: Verdict.NOT_REPRODUCED,
    Verdict.NOT_REPRODUCED: Verdict.REPRODUCED,
    Verdict.INCONCLUSIVE: Verdict.INCONCLUSIVE,
}


def check(entry: dict[str, Any], results: Results, paper: Paper) -> Claim:
    """One for each regime."""
    return finding(entry, results, paper, _parts(entry, results))


def _parts(entry: dict[str, Any], results: Results) -> list[Part]:
    student = results.roles.the(Role.STUDENT)
    rivals = [v for v in of_family(results, Family.TEACHER, Family.TRAINING_FREE) if results.metrics.get(v)]
    return (
        [_part(entry, results, student, rivals, *regime) for regime in settings_timed(results)]
        if rivals
        else []
    )


def _part(
    entry: dict[str, Any], results: Results, student: str, rivals: list[str], batch: int, mode: str
) -> Part:
    name = f"batch {batch}, {mode}"
    own = timed(results, student, batch, mode)
    if own is None:
        return Part(name, Verdict.NOT_ATTEMPTED, f"{student} was not timed")
    limit = own.estimate.value * tolerance(entry, "time_ratio")
    rows = {rival: timed(results, rival, batch, mode) for rival in rivals}
    within = [rival for rival, row in rows.items() if row and row.estimate.value <= limit]
    if not within:
        why = f"none of the {len(rivals)} training-free rivals makes an image in the student's time"
        return Part(name, Verdict.REPRODUCED, why, files=(own.file,))
    compared = {rival: as_good(entry, results, rival, student) for rival in within}
    best = min(within, key=lambda rival: _distance(compared[rival][0]))
    verdicts = {rival: REVERSED[verdict(found)] for rival, found in compared.items()}
    order = (Verdict.NOT_REPRODUCED, Verdict.INCONCLUSIVE, Verdict.REPRODUCED)
    decided = min(verdicts.values(), key=order.index)
    deciding = best if verdicts[best] is decided else next(r for r in within if verdicts[r] is decided)
    worse = [part for part in compared[deciding] if part.verdict is Verdict.NOT_REPRODUCED]
    part = (worse or compared[deciding])[0]
    why = f"{len(within)} of {len(rivals)} rivals are as fast, among them {deciding}: {part.why}"
    files = tuple(dict.fromkeys((own.file, *(file for p in compared[deciding] for file in p.files))))
    return Part(name, decided, why, part.estimate, part.bound, files=files)


def _distance(part: Part) -> float:
    return part.estimate.value if part.estimate else float("inf")
