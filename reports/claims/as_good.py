"""What findings about rivals share: whether a way to sample the teacher matches the student, and the finding made of parts.

A rival matches the student in a regime (batch, mode) if its distance, its diversity and its time are all no worse than allowed.
In one regime a finding says that no rival does. Its level, 5% one-sided as for all questions of "not worse than a margin", is
shared out beforehand:

yes     Every rival is clearly worse in one of the three. Each is tested at a third of the level, since any one will do; for the
        rivals nothing is corrected, since all of them have to be.
no      Some rival is shown to be no worse in all three, and any rival will do. Half of the level goes to time, divided by the
        number of rivals; half to distance and diversity, divided by the number of those whose time is shown to be allowed. Whose
        it is says nothing about the other half: timings are measured apart from the images.

Otherwise the regime is open. That a rival of the student's teacher is compared with several students of it is part of the
interval (`over_teacher`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from reports.claims.compare import DISTANCE, DIVERSITY, Comparison, Held
from reports.claims.model import NON_INFERIORITY, Claim, Part, Verdict, above, below
from reports.formats import Speed
from reports.intervals import ratio, ratio_to_students
from reports.methods import Family, of_family
from reports.paper import Paper
from reports.regimes import timed
from reports.results import Results
from reports.roles import Role
from reports.scope import scope_of
from reports.wording import interval

WAYS = 3  # distance, diversity, time


@dataclass(frozen=True)
class Rival:
    """A rival beside the student in one regime; each part holds where the rival is no worse than allowed."""

    name: str
    distance: Part
    diversity: Part
    time: Part
    seconds: float  # for an image

    @property
    def quality(self) -> tuple[Part, Part]:
        return self.distance, self.diversity

    @property
    def is_worse(self) -> bool:
        """Clearly, in distance or diversity."""
        return any(part.verdict is Verdict.NOT_REPRODUCED for part in self.quality)

    @property
    def is_slower(self) -> bool:
        """Clearly."""
        return self.time.verdict is Verdict.NOT_REPRODUCED

    @property
    def is_beaten(self) -> bool:
        return self.is_worse or self.is_slower


@dataclass(frozen=True)
class Judgement:
    """On one regime; `match` is the rival for which the case is strongest that it matches the student, if any is in time."""

    verdict: Verdict
    p_fails: float  # that no rival matches, held to NON_INFERIORITY
    match: Rival | None


def judged(rivals: Sequence[Rival]) -> Judgement:
    """Whether no rival matches the student."""
    tests = 2 * len(rivals)
    in_time = [r for r in rivals if tests * _p(r.time) <= NON_INFERIORITY]
    found = [(max(tests * _p(r.time), 2 * len(in_time) * max(map(_p, r.quality))), r) for r in in_time]
    p, match = min(found, key=lambda pair: pair[0], default=(1.0, None))
    if all(rival.is_beaten for rival in rivals):
        return Judgement(Verdict.REPRODUCED, min(p, 1.0), match)
    matched = p <= NON_INFERIORITY
    return Judgement(Verdict.NOT_REPRODUCED if matched else Verdict.INCONCLUSIVE, min(p, 1.0), match)


def decided_by(rivals: Sequence[Rival], judgement: Judgement, key: Callable[[Rival], float]) -> Rival:
    """The rival to name: the match, where there is one; else of those that are not beaten, or of all, the least by `key`."""
    if judgement.verdict is Verdict.NOT_REPRODUCED and judgement.match:
        return judgement.match
    return min([r for r in rivals if not r.is_beaten] or rivals, key=key)


def _p(part: Part) -> float:
    """Of the bound being kept."""
    return 1.0 if part.p_holds is None else part.p_holds


def training_free(results: Results) -> list[str]:
    """The scored ways to sample the teacher."""
    return [v for v in of_family(results, Family.TEACHER, Family.TRAINING_FREE) if results.metrics.get(v)]


def rivals_in(
    entry: dict[str, Any], results: Results, batch: int, mode: str, own: Speed, time_bound: float
) -> list[Rival]:
    """All that were scored and timed beside the student, whose timing is `own`."""
    rows = {rival: timed(results, rival, batch, mode) for rival in training_free(results)}
    return [_rival(entry, results, name, row, own, time_bound) for name, row in rows.items() if row]


def _rival(
    entry: dict[str, Any], results: Results, name: str, row: Speed, own: Speed, time_bound: float
) -> Rival:
    student, level = results.roles.the(Role.STUDENT), NON_INFERIORITY / WAYS
    how = partial(ratio_to_students, teachers=results.roles.taught_by)
    far, near = tolerance(entry, "distance_ratio"), tolerance(entry, "diversity_ratio")
    distance = Comparison(f"distance of {name}", DISTANCE, name, student, below, far, how, level=level)
    diversity = Comparison(f"diversity of {name}", DIVERSITY, name, student, above, near, how, level=level)
    times = ratio(row.estimate, own.estimate)
    held = Held(f"time of {name}", below, time_bound, level)
    time = held.part(times, f"time ratio {interval(times)}", (row.file, own.file))
    return Rival(name, distance.part(results), diversity.part(results), time, row.estimate.value)


def finding(entry: dict[str, Any], results: Results, paper: Paper, parts: list[Part]) -> Claim:
    """Its headline is the first part that has an estimate; without parts it is not attempted."""
    if not parts:
        parts = [Part("rivals", Verdict.NOT_ATTEMPTED, "this preset has no rival that the question is about")]
    known = next((part for part in parts if part.estimate and not part.control), None)
    return Claim(
        entry,
        scope=str(scope_of(results, paper)),
        quantity=f"{entry['quantity']} ({known.name})" if known else str(entry["quantity"]),
        paper=None,
        estimate=known.estimate if known else None,
        parts=parts,
    )


def tolerance(entry: dict[str, Any], name: str) -> float:
    return float(entry["tolerances"][name]["value"])


def files_of(rivals: Sequence[Rival]) -> tuple[Path, ...]:
    """What the judgement on these was read from."""
    parts = [part for rival in rivals for part in (rival.time, *rival.quality)]
    return tuple(dict.fromkeys(file for part in parts for file in part.files))
