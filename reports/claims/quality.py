"""C3: one step keeps the quality of the 100-step teacher."""

from __future__ import annotations

from reports.claims.compare import DISTANCE, DIVERSITY, Comparison, difference, untrusted
from reports.claims.model import Claim, Part, Verdict, above, below
from reports.intervals import Estimate, ratio
from reports.paper import Paper
from reports.results import Results
from reports.wording import interval, limit, number, plural


def quality(results: Results, paper: Paper) -> Claim:
    """Non-inferiority of the distance, as a ratio; at full scale the paper's own value too; recognisable images as a control."""
    entry = paper.claims["C3"]
    size = results.size or "H"
    bound = paper.tolerance("C3", "huge_ratio" if results.size == "H" else "smaller_ratio")[0]
    teacher = f"teacher-{paper.teacher_steps}"
    main = Comparison(
        "distance against the 100-step teacher", DISTANCE, "marval", teacher, below, bound
    ).part(results)
    parts = [main]
    if results.is_full_scale:
        parts.append(_absolute(results, paper, size))
    slack = paper.tolerance("C3", "class_accuracy")[0]
    recognised = Comparison(
        "images are recognised", "class_accuracy", "marval", teacher, above, -slack, difference, control=True
    )
    if results.metric("marval", "class_accuracy"):
        parts.append(recognised.part(results))
    if results.metric("teacher-1", DIVERSITY):
        # the undistilled head used once can look as good by distance, but it repeats itself
        parts.append(
            Comparison(
                "more diverse than the undistilled head",
                DIVERSITY,
                "marval",
                "teacher-1",
                above,
                1.0,
                control=True,
            ).part(results)
        )
    return Claim(
        id="C3",
        claim=entry["claim"],
        short=entry["short"],
        source=entry["source"],
        scope="full" if results.is_full_scale else "proxy",
        quantity="Fréchet distance of the student over the teacher's",
        paper=paper.distance_ratio(size),
        estimate=main.estimate,
        parts=parts,
        tolerances=entry["tolerances"],
        beside=_against_few_steps(results),
    )


def _absolute(results: Results, paper: Paper, size: str) -> Part:
    """At full scale the student's FID is also held to the paper's own, from above: better is no failure."""
    name, told = "FID against the paper's", paper.row("table1", size=size, role="student").get("fid")
    measured = results.metric("marval", DISTANCE)
    slack = paper.tolerance("C3", "absolute_fid")[0]
    if measured is None or told is None:
        return Part(name, Verdict.NOT_ATTEMPTED, "Fréchet distance of marval was not measured")
    bound = told * (1 + slack)
    verdict = Verdict.INCONCLUSIVE if untrusted(results, DISTANCE) else below(measured.estimate, bound)
    why = (
        f"FID {interval(measured.estimate)} against the paper's {number(told)}, required below {limit(bound)}"
    )
    return Part(name, verdict, why, measured.estimate, bound, files=(measured.file,))


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
