"""C1: one head evaluation for each AR step, in any unmasking order."""

from __future__ import annotations

from typing import Any

from reports.claims.compare import DISTANCE, Comparison
from reports.claims.model import Claim, Part, Verdict, below
from reports.intervals import Estimate
from reports.paper import Paper
from reports.results import Results
from reports.roles import Role
from reports.scope import scope_of

ORDERS = ("random", "raster", "centre-out")


def check(entry: dict[str, Any], results: Results, paper: Paper) -> Claim:
    """Evaluations are counted from the settings and from what was timed; orders are compared on the distance."""
    counted = _evaluations(results)
    return Claim(
        entry,
        scope=str(scope_of(results, paper)),
        quantity="head evaluations for each AR step",
        paper=1.0,
        estimate=counted.estimate,
        parts=[counted, *_order_parts(results, paper.tolerance(entry["id"], "order_ratio")[0])],
        beside=_beside(results, paper),
    )


def _evaluations(results: Results) -> Part:
    """The most evaluations of the head for one AR step in the student's settings and its timed runs. Exact: no interval."""
    name, student = "head evaluations for each AR step", results.roles.the(Role.STUDENT)
    timed = [row for row in results.speed if row.variant == student]
    most = max([int(results.variants[student]["diffusion_steps"]), *(row.diffusion_steps for row in timed)])
    verdict = Verdict.REPRODUCED if most == 1 else Verdict.NOT_REPRODUCED
    why = (
        f"the distilled model evaluates its head {'once' if most == 1 else f'{most} times'} for each AR step"
    )
    files = tuple({row.file for row in timed})
    return Part(name, verdict, why, Estimate(float(most), float(most), float(most)), 1.0, files=files)


def _order_parts(results: Results, bound: float) -> list[Part]:
    orders = results.roles.orders(results.roles.the(Role.STUDENT))
    default = next(iter(orders))
    others = [order for order in ORDERS if order != default]
    return [
        Comparison(f"order {order}", DISTANCE, orders[order], orders[default], below, bound).part(results)
        if order in orders
        else Part(
            f"order {order}", Verdict.NOT_ATTEMPTED, f"no variant unmasks in {order} order", None, bound
        )
        for order in others
    ]


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
