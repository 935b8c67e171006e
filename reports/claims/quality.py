"""C3: one step keeps the quality of the 100-step teacher."""

from __future__ import annotations

from functools import partial
from typing import Any

from reports.claims.compare import (
    ACCURACY,
    CLASS_DISTANCE,
    DISTANCE,
    DIVERSITY,
    Comparison,
    Held,
    deciding_distance,
    untrusted,
)
from reports.claims.model import NON_INFERIORITY, Claim, Part, Verdict, above, below
from reports.formats import Metric
from reports.intervals import over_teacher, ratio_over_teacher
from reports.paper import Paper
from reports.results import Results
from reports.roles import Role
from reports.scope import scope_of
from reports.wording import interval, plural


def check(entry: dict[str, Any], results: Results, paper: Paper) -> Claim:
    """Non-inferiority of the distance, as a ratio; at full scale the paper's own value too; recognisable images as a control."""
    scope = scope_of(results, paper)
    size = scope.size or "H"
    bound = paper.tolerance(entry["id"], "huge_ratio" if scope.size == "H" else "smaller_ratio")[0]
    main = _ratio(results, paper.teacher_steps, bound, scope.is_full)
    absolute = (
        _absolute(results, paper, size, paper.tolerance(entry["id"], "absolute_fid")[0])
        if scope.is_full
        else None
    )
    headline = absolute or main
    slack = paper.tolerance(entry["id"], "class_accuracy")[0]
    return Claim(
        entry,
        scope=str(scope),
        quantity=f"FID of MARVAL-{size}" if absolute else _quantity(results, paper.teacher_steps),
        paper=_papers_fid(paper, size) if absolute else paper.distance_ratio(size),
        estimate=headline.estimate,
        parts=[*([absolute] if absolute else []), main, *_controls(results, paper.teacher_steps, slack)],
        beside=_against_few_steps(results),
    )


def _quantity(results: Results, steps: int) -> str:
    """On a proxy: what is held to the paper's ratio of FIDs."""
    variants = [results.roles.the(Role.STUDENT), *filter(None, [results.roles.teachers.get(steps)])]
    metric = deciding_distance(results, False, *variants)
    return f"{results.title(metric)} of the student over the teacher's (the paper's number: FID)"


def _ratio(results: Results, steps: int, bound: float, is_full: bool) -> Part:
    """The student's distance over that of the teacher of so many diffusion steps."""
    name = f"distance against the {steps}-step teacher"
    teacher = results.roles.teachers.get(steps)
    if teacher is None:
        return Part(name, Verdict.NOT_ATTEMPTED, f"no teacher has {steps} diffusion steps", None, bound)
    how = partial(ratio_over_teacher, teachers=results.roles.taught_by)
    student = results.roles.the(Role.STUDENT)
    metric = deciding_distance(results, is_full, student, teacher)
    return Comparison(name, metric, student, teacher, below, bound, how, level=NON_INFERIORITY).part(results)


def _controls(results: Results, steps: int, slack: float) -> list[Part]:
    """Images must still be recognised, and show more than the teacher's head does when it is used once."""
    student, teachers = results.roles.the(Role.STUDENT), results.roles.teachers
    short, times = (
        partial(how, teachers=results.roles.taught_by) for how in (over_teacher, ratio_over_teacher)
    )
    wanted = []
    if steps in teachers and results.metric(student, ACCURACY):
        name = "images are recognised"
        wanted.append(
            Comparison(name, ACCURACY, student, teachers[steps], above, -slack, short, control=True)
        )
    # the undistilled head used once can look as good by distance, but it repeats itself
    if 1 in teachers and results.metric(teachers[1], DIVERSITY):
        name = "more diverse than the undistilled head"
        wanted.append(Comparison(name, DIVERSITY, student, teachers[1], above, 1.0, times, control=True))
    return [comparison.part(results) for comparison in wanted]


def _papers_fid(paper: Paper, size: str) -> float | None:
    return paper.row("table1", size=size, role="student").get("fid")


def _absolute(results: Results, paper: Paper, size: str, slack: float) -> Part:
    """At full scale the student's FID is also held to the paper's own, from above: better is no failure."""
    name, printed = f"FID against MARVAL-{size}'s", _papers_fid(paper, size)
    student = results.roles.the(Role.STUDENT)
    measured = results.metric(student, DISTANCE)
    if measured is None or printed is None:
        return Part(name, Verdict.NOT_ATTEMPTED, f"FID of {student} was not measured")
    theirs = f"{printed:.{paper.decimals('fid')}f}"
    sentence = f"FID {interval(measured.estimate)} against the paper's {theirs}"
    trouble = untrusted(results, DISTANCE) or _other_protocol(measured, paper)
    held = Held(name, below, printed * (1 + slack))
    return held.part(measured.estimate, sentence, (measured.file,), trouble)


def _other_protocol(measured: Metric, paper: Paper) -> str:
    """Why a distance is no FID as the paper has it; empty if it is."""
    images = int(paper.content["full_scale"]["images"])
    if measured.n is not None and measured.n < images:
        return f"it is of {measured.n:,} images, and the paper's of {images:,}"
    return "" if "inception" in measured.judge.lower() else f"its judge {measured.judge} is not Inception"


def _against_few_steps(results: Results) -> list[str]:
    """The frontier in words: the student against the teacher at every number of steps, by both distances."""
    lines = []
    student, taught = results.roles.the(Role.STUDENT), results.roles.taught_by
    for steps, variant in results.roles.teachers.items():
        gaps = []
        for metric in (DISTANCE, CLASS_DISTANCE):
            ours, theirs = results.metric(student, metric), results.metric(variant, metric)
            if ours and theirs:
                gap = ratio_over_teacher(ours.estimate, theirs.estimate, taught)
                gaps.append(f"{results.title(metric)} ratio {interval(gap)}")
        if gaps:
            lines.append(f"Against the teacher at {plural(steps, 'diffusion step')}: {', '.join(gaps)}.")
    return lines
