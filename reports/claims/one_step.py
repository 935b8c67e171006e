"""C1: one head evaluation for each AR step, in any unmasking order.

The claim is about distillation, so the student is held against its own teacher: an order may cost distance, but not more than it
costs the teacher. The same for the use that orders have, filling in parts of real images.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from reports.claims.compare import (
    ACCURACY,
    CLASS_DISTANCE,
    DISTANCE,
    Comparison,
    Held,
    deciding_distance,
    incomparable,
    rows_of,
    untrusted,
)
from reports.claims.model import NON_INFERIORITY, Claim, Part, Verdict, above, below
from reports.intervals import (
    Estimate,
    difference,
    exponential,
    logarithm,
    over_teacher,
    ratio,
    ratio_over_teacher,
)
from reports.paper import Paper
from reports.results import Results
from reports.roles import Role
from reports.scope import scope_of
from reports.wording import interval, plural

ORDERS = ("random", "raster", "centre-out")


def check(entry: dict[str, Any], results: Results, paper: Paper) -> Claim:
    """Evaluations are counted while sampling; orders and in-painting are compared on the distance, against the teacher's."""
    counted = _evaluations(results)
    orders, distance, accuracy = (
        paper.tolerance(entry["id"], name)[0] for name in ("order_ratio", "inpainting_ratio", ACCURACY)
    )
    scope = scope_of(results, paper)
    return Claim(
        entry,
        scope=str(scope),
        quantity="head evaluations for each AR step",
        paper=1.0,
        estimate=counted.estimate,
        parts=[
            counted,
            *_order_parts(results, orders, scope.is_full),
            *_inpainting(results, distance, accuracy),
        ],
        beside=[*_by_distance(results, orders, scope.is_full), *_absolute(results), *_beside(results, paper)],
    )


def _evaluations(results: Results) -> Part:
    """The most evaluations of the head that a timed run of the student made for one AR step. Exact: no interval."""
    name, student = "head evaluations for each AR step", results.roles.the(Role.STUDENT)
    counted = [row for row in results.speed if row.variant == student and row.head_evaluations is not None]
    if not counted:
        return Part(
            name, Verdict.NOT_ATTEMPTED, f"no run of {student} was counted while it sampled", None, 1.0
        )
    most = max((row.head_evaluations or 0) / row.ar_steps for row in counted)
    verdict = Verdict.REPRODUCED if most == 1 else Verdict.NOT_REPRODUCED
    calls = max(row.head_evaluations or 0 for row in counted)
    steps = max(row.ar_steps for row in counted)
    why = f"counted while sampling, the distilled model evaluates its head {plural(calls, 'time')} in {plural(steps, 'AR step')}"
    files = tuple({row.file for row in counted})
    return Part(name, verdict, why, Estimate(most, most, most), 1.0, files=files)


def _order_parts(results: Results, bound: float, is_full: bool) -> list[Part]:
    """For each other order: what it costs the student over what it costs the teacher, a ratio of two ratios."""
    student = results.roles.the(Role.STUDENT)
    return [
        _order_part(results, order, bound, is_full)
        for order in ORDERS
        if order != _order_of(results, student)
    ]


def _by_distance(results: Results, bound: float, is_full: bool) -> list[str]:
    """The orders by FID's kind of distance, where another one decides."""
    parts = zip(
        _order_parts(results, bound, is_full), _order_parts(results, bound, is_full=True), strict=True
    )
    return [f"By the other distance, {other.why}." for part, other in parts if part.why != other.why]


def _order_of(results: Results, variant: str) -> str:
    return str(results.variants[variant]["order"])


def _order_part(results: Results, order: str, bound: float, is_full: bool) -> Part:
    held = Held(f"order {order}", below, bound, NON_INFERIORITY)
    student, teacher = results.roles.the(Role.STUDENT), results.roles.ordered_teacher
    students = results.roles.orders(student)
    teachers = results.roles.orders(teacher) if teacher else {}
    if teacher is None or order not in students or order not in teachers:
        who = "student" if order not in students else "teacher"
        return held.missing(f"no variant of the {who} unmasks in {order} order")
    compared = students[order], student, teachers[order], teacher
    metric = deciding_distance(results, is_full, *compared)
    rows = rows_of(results, metric, *compared)
    if isinstance(rows, str):
        return held.missing(rows)
    of_student, of_teacher = (
        difference(logarithm(a.estimate), logarithm(b.estimate)) for a, b in (rows[:2], rows[2:])
    )
    estimate = exponential(over_teacher(of_student, of_teacher, results.roles.taught_by))
    sentence = (
        f"{order} order multiplies the {rows[0].title} of {student} by {interval(exponential(of_student))} and that of "
        f"{teacher} by {interval(exponential(of_teacher))}: the student pays {interval(estimate)} times what its teacher pays"
    )
    trouble = incomparable(*rows) or untrusted(results, metric)
    return held.part(estimate, sentence, tuple(row.file for row in rows), trouble)


def _inpainting(results: Results, bound: float, slack: float) -> list[Part]:
    """Parts of held-out images filled in: the student's class distance and accuracy against the teacher's."""
    student, teacher = results.roles.the(Role.STUDENT), results.inpainting_teacher
    if teacher is None:
        why = "no teacher in-painted held-out images"
        return [Held("in-painting, distance", below, bound, NON_INFERIORITY).missing(why)]
    a, b = results.inpainted(student), results.inpainted(teacher)
    taught = results.roles.taught_by
    metric = CLASS_DISTANCE if results.metric(a, CLASS_DISTANCE) else DISTANCE
    apart = partial(ratio_over_teacher, teachers=taught)
    short = partial(over_teacher, teachers=taught)
    return [
        Comparison("in-painting, distance", metric, a, b, below, bound, apart, level=NON_INFERIORITY).part(
            results
        ),
        Comparison("in-painting, accuracy", ACCURACY, a, b, above, -slack, short, level=NON_INFERIORITY).part(
            results
        ),
    ]


def _absolute(results: Results) -> list[str]:
    """What another order costs each model by itself, which is no part of the claim."""
    models = [results.roles.the(Role.STUDENT), results.roles.ordered_teacher]
    return [line for variant in models if variant for line in _costs(results, variant)]


def _costs(results: Results, variant: str) -> list[str]:
    own, *others = results.roles.orders(variant).items()
    lines = []
    for order, other in others:
        rows = rows_of(results, DISTANCE, other, variant)
        if not isinstance(rows, str):
            cost = interval(ratio(rows[0].estimate, rows[1].estimate))
            lines.append(f"{variant} in {order} order: {cost} times its distance in {own[0]} order.")
    return lines


def _beside(results: Results, paper: Paper) -> list[str]:
    """Head evaluations for a whole image, both branches of guidance counted, where the settings have the AR steps."""
    steps = results.ar_steps(results.roles.the(Role.STUDENT))
    if steps is None:
        return []
    teacher = steps * paper.teacher_steps
    return [
        f"A whole image of {steps} AR steps takes {steps} head evaluations; the {paper.teacher_steps}-step teacher "
        f"takes {teacher}, and twice as many with guidance's second branch."
    ]
