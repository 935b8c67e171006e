"""F1: how many times faster the student is than the fastest training-free rival of its quality, regime by regime."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from reports.claims.as_good import as_good, finding, tolerance, verdict
from reports.claims.model import Claim, Part, Verdict, above
from reports.intervals import ratio
from reports.methods import Family, of_family, settings_timed
from reports.paper import Paper
from reports.regimes import timed
from reports.results import Results
from reports.roles import Role
from reports.wording import interval, limit, seconds


def check(entry: dict[str, Any], results: Results, paper: Paper) -> Claim:
    """One for each regime; every rival counts that is not clearly worse, so that doubt never makes the student look faster."""
    return finding(entry, results, paper, _parts(entry, results))


def _parts(entry: dict[str, Any], results: Results) -> list[Part]:
    student = results.roles.the(Role.STUDENT)
    rivals = [v for v in of_family(results, Family.TEACHER, Family.TRAINING_FREE) if results.metrics.get(v)]
    found = {rival: as_good(entry, results, rival, student) for rival in rivals}
    left = [rival for rival in rivals if verdict(found[rival]) is not Verdict.NOT_REPRODUCED]
    files = tuple(file for rival in left for part in found[rival] for file in part.files)
    shown = [rival for rival in left if verdict(found[rival]) is Verdict.REPRODUCED]
    bound = tolerance(entry, "speedup")
    made = [
        _part(results, student, left, shown, batch, mode, bound) for batch, mode in settings_timed(results)
    ]
    return [part if part.estimate is None else _with(part, files) for part in made] if rivals else []


def _part(
    results: Results, student: str, left: list[str], shown: list[str], batch: int, mode: str, bound: float
) -> Part:
    name = f"batch {batch}, {mode}"
    own = timed(results, student, batch, mode)
    rows = {rival: row for rival in left if (row := timed(results, rival, batch, mode))}
    if own is None or not rows:
        why = "no training-free rival of the student's quality was timed beside it"
        return Part(name, Verdict.NOT_ATTEMPTED, why, None, bound)
    fastest = min(rows, key=lambda rival: rows[rival].estimate.value)
    times = ratio(rows[fastest].estimate, own.estimate)
    sure = "shown to be as good" if fastest in shown else "not shown to be worse"
    why = (
        f"the fastest rival {sure}, {fastest}, takes {seconds(rows[fastest].estimate.value)} for an image and the student "
        f"{seconds(own.estimate.value)}: {interval(times)} times, required above {limit(bound)}"
    )
    return Part(name, above(times, bound), why, times, bound, files=(own.file,))


def _with(part: Part, files: tuple[Path, ...]) -> Part:
    return replace(part, files=tuple(dict.fromkeys((*part.files, *files))))
