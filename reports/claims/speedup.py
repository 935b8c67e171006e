"""C2: more than 30 times faster. Tested in the claim's own regime (batch 1, eager), every other regime beside it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from reports.claims.model import Claim, Part, Verdict, above
from reports.formats import Speed
from reports.intervals import Estimate, ratio
from reports.paper import Paper
from reports.results import Results
from reports.wording import interval, limit, plural, seconds

PLAIN_MODES = ("reference", "eager")  # the published sampler, step by step; the claim's mode


@dataclass(frozen=True)
class Regime:
    """One pair of timings that differ in the method alone, and the speed-up between them."""

    teacher: Speed
    student: Speed
    speedup: Estimate

    @property
    def is_claimed(self) -> bool:
        return self.student.batch == 1 and self.student.mode in PLAIN_MODES

    @property
    def name(self) -> str:
        row = self.student
        return f"batch {row.batch}, {row.mode}, {plural(row.ar_steps, 'AR step')}, {row.device}"


def regimes(results: Results, teacher_steps: int, student: str = "marval") -> list[Regime]:
    """Every pair (teacher of `teacher_steps`, student) with the same device, batch, AR steps and mode; and size, where told."""
    teachers = [r for r in results.speed if r.variant == f"teacher-{teacher_steps}"]
    students = [r for r in results.speed if r.variant == student]
    sized = bool(
        {r.model for r in teachers} & {r.model for r in students}
    )  # model names a size, or else the weights

    def key(row: Speed) -> tuple[str, int, int, str, str]:
        return (row.device, row.batch, row.ar_steps, row.mode, row.model if sized else "")

    by_key = {key(row): row for row in teachers}
    pairs = [(by_key[key(row)], row) for row in students if key(row) in by_key]
    found = [Regime(t, s, ratio(t.estimate, s.estimate)) for t, s in pairs]
    return sorted(
        found,
        key=lambda r: (
            r.student.model,
            r.student.device,
            r.student.mode in ("optimised",),
            r.student.batch,
            r.student.ar_steps,
        ),
    )


def size_of(model: str) -> str | None:
    """B, L or H if the name of a timed model says so."""
    words = model.lower().replace("_", "-").split("-")
    names = {"b": "B", "base": "B", "l": "L", "large": "L", "h": "H", "huge": "H"}
    return next((names[word] for word in words if word in names), None) if "mar" in words else None


def speedup(results: Results, paper: Paper) -> Claim:
    entry = paper.claims["C2"]
    bound = paper.tolerance("C2", "speedup")[0]
    found = regimes(results, paper.teacher_steps)
    regime = _claimed(found, results.ar_steps("marval"))
    part = _part(regime, bound, bool(found))
    # time does not depend on the weights: a full-size model on an accelerator tests the claim itself, whatever the images
    full_size = (
        regime is not None
        and size_of(regime.student.model) is not None
        and "cpu" not in regime.student.device.lower()
    )
    return Claim(
        id="C2",
        claim=entry["claim"],
        short=entry["short"],
        source=entry["source"],
        scope="full" if results.is_full_scale or full_size else "proxy",
        quantity="speed-up at batch 1, eager, over the 100-step teacher",
        paper=paper.speedup("B"),
        estimate=part.estimate,
        parts=[part],
        tolerances=entry["tolerances"],
        beside=[f"{r.name}{_model(r)}: {interval(r.speedup)} times" for r in found if r is not regime],
    )


def _claimed(found: Iterable[Regime], ar_steps: int | None) -> Regime | None:
    """The claim's regime: batch 1, plain mode, size B if sizes are told, the preset's AR steps if they were timed."""
    candidates = [r for r in found if r.is_claimed]

    def order(regime: Regime) -> tuple[bool, bool, bool]:
        row = regime.student
        return ("cpu" in row.device.lower(), size_of(row.model) not in ("B", None), row.ar_steps != ar_steps)

    preferred = sorted(candidates, key=order)
    return preferred[0] if preferred else None


def _part(regime: Regime | None, bound: float, other_regimes: bool) -> Part:
    name = "speed-up at batch 1"
    if regime is None:
        missing = (
            "only other regimes were timed"
            if other_regimes
            else "no pair of teacher and student was timed alike"
        )
        return Part(
            name,
            Verdict.NOT_ATTEMPTED,
            f"{missing}; the claim needs batch 1 without optimisation",
            None,
            bound,
        )
    why = (
        f"{seconds(regime.teacher.estimate.value)} against {seconds(regime.student.estimate.value)} for an image "
        f"({regime.name}): {interval(regime.speedup)} times, required above {limit(bound)}"
    )
    verdict = above(regime.speedup, bound)
    if not regime.speedup.has_interval:
        why += "; not decided because a time has no interval"
    return Part(
        name, verdict, why, regime.speedup, bound, files=tuple({regime.teacher.file, regime.student.file})
    )


def _model(regime: Regime) -> str:
    return f", {regime.student.model}" if size_of(regime.student.model) else ""
