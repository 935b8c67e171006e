"""C3: one step keeps the quality of the 100-step teacher."""

from __future__ import annotations

from reports.claims.compare import DISTANCE, DIVERSITY, Comparison, difference, untrusted
from reports.claims.model import Claim, Part, Verdict, above, below
from reports.formats import Metric
from reports.intervals import Estimate, ratio
from reports.paper import Paper
from reports.results import Results
from reports.scope import scope_of
from reports.wording import interval, limit, plural


def quality(results: Results, paper: Paper) -> Claim:
    """Non-inferiority of the distance, as a ratio; at full scale the paper's own value too; recognisable images as a control."""
    entry, scope = paper.claims["C3"], scope_of(results, paper)
    size = scope.size or "H"
    bound = paper.tolerance("C3", "huge_ratio" if scope.size == "H" else "smaller_ratio")[0]
    teacher = f"teacher-{paper.teacher_steps}"
    name = f"distance against the {paper.teacher_steps}-step teacher"
    main = Comparison(name, DISTANCE, "marval", teacher, below, bound).part(results)
    absolute = _absolute(results, paper, size) if scope.is_full else None
    headline = absolute or main
    return Claim(
        id="C3",
        claim=entry["claim"],
        short=entry["short"],
        source=entry["source"],
        scope=str(scope),
        quantity=f"FID of MARVAL-{size}"
        if absolute
        else "Fréchet distance of the student over the teacher's",
        paper=_told(paper, size) if absolute else paper.distance_ratio(size),
        estimate=headline.estimate,
        parts=[*([absolute] if absolute else []), main, *_controls(results, paper, teacher)],
        tolerances=entry["tolerances"],
        beside=_against_few_steps(results),
    )


def _controls(results: Results, paper: Paper, teacher: str) -> list[Part]:
    """Images must still be recognised, and show more than the teacher's head does when it is used once."""
    slack = paper.tolerance("C3", "class_accuracy")[0]
    name = "images are recognised"
    wanted = [
        Comparison(name, "class_accuracy", "marval", teacher, above, -slack, difference, control=True),
        # the undistilled head used once can look as good by distance, but it repeats itself
        Comparison(
            "more diverse than the undistilled head",
            DIVERSITY,
            "marval",
            "teacher-1",
            above,
            1.0,
            control=True,
        ),
    ]
    needed = [("marval", "class_accuracy"), ("teacher-1", DIVERSITY)]
    return [c.part(results) for c, row in zip(wanted, needed, strict=True) if results.metric(*row)]


def _told(paper: Paper, size: str) -> float | None:
    return paper.row("table1", size=size, role="student").get("fid")


def _absolute(results: Results, paper: Paper, size: str) -> Part:
    """At full scale the student's FID is also held to the paper's own, from above: better is no failure."""
    name, told = f"FID against MARVAL-{size}'s", _told(paper, size)
    measured = results.metric("marval", DISTANCE)
    slack = paper.tolerance("C3", "absolute_fid")[0]
    if measured is None or told is None:
        return Part(name, Verdict.NOT_ATTEMPTED, "FID of marval was not measured")
    bound = told * (1 + slack)
    trouble = untrusted(results, DISTANCE) or _other_protocol(measured, paper)
    verdict = Verdict.INCONCLUSIVE if trouble else below(measured.estimate, bound)
    why = f"FID {interval(measured.estimate)} against the paper's {told:.{paper.decimals('fid')}f}, required below {limit(bound)}"
    why += f"; not decided because {trouble}" if trouble else ""
    return Part(name, verdict, why, measured.estimate, bound, files=(measured.file,))


def _other_protocol(measured: Metric, paper: Paper) -> str:
    """Why a distance is no FID as the paper has it; empty if it is."""
    images = int(paper.content["full_scale"]["images"])
    if measured.n is not None and measured.n < images:
        return f"it is of {measured.n:,} images, and the paper's of {images:,}"
    return "" if "inception" in measured.judge.lower() else f"its judge {measured.judge} is not Inception"


def _against_few_steps(results: Results) -> list[str]:
    """The frontier in words: the student against the teacher at every other number of steps."""
    lines = []
    student = results.metric("marval", DISTANCE)
    for steps, variant in results.teachers().items():
        teacher = results.metric(variant, DISTANCE)
        if student and teacher:
            gap: Estimate = ratio(student.estimate, teacher.estimate)
            lines.append(
                f"Against the teacher at {plural(steps, 'diffusion step')}: distance ratio {interval(gap)}."
            )
    return lines
