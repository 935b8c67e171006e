"""C1: one head evaluation for each AR step, in any unmasking order."""

from __future__ import annotations

from dataclasses import replace

from reports.claims.compare import DISTANCE, Comparison
from reports.claims.model import Claim, Part, Verdict, below
from reports.intervals import Estimate
from reports.paper import Paper
from reports.results import Results
from reports.scope import scope_of

ORDERS = ("random", "raster", "centre-out")


def one_step(results: Results, paper: Paper) -> Claim:
    """Evaluations are counted from the preset and from what was timed; orders are compared on the distance."""
    entry = paper.claims["C1"]
    counted = _evaluations(results)
    if not results.measures_quality:  # without an image to judge, the count alone tests no claim
        counted = replace(counted, control=True)
    parts = [counted, *_order_parts(results, paper.tolerance("C1", "order_ratio")[0])]
    return Claim(
        id="C1",
        claim=entry["claim"],
        short=entry["short"],
        source=entry["source"],
        scope=str(scope_of(results, paper)),
        quantity="head evaluations for each AR step",
        paper=1.0,
        estimate=counted.estimate,
        parts=parts,
        tolerances=entry["tolerances"],
        beside=_beside(results, paper),
    )


def _evaluations(results: Results) -> Part:
    """The most evaluations of the head for one AR step among the preset's `marval` and its timed runs. Exact: no interval."""
    name = "head evaluations for each AR step"
    timed = [row for row in results.speed if row.variant == "marval"]
    counts = [row.diffusion_steps for row in timed]
    settings = results.variants.get("marval")
    if settings is not None:
        counts.append(int(settings.get("diffusion_steps") or 1))
    if not counts:
        return Part(name, Verdict.NOT_ATTEMPTED, "no distilled model is set up or timed")
    most = max(counts)
    verdict = Verdict.REPRODUCED if most == 1 else Verdict.NOT_REPRODUCED
    why = (
        f"the distilled model evaluates its head {'once' if most == 1 else f'{most} times'} for each AR step"
    )
    files = tuple({row.file for row in timed})
    return Part(name, verdict, why, Estimate(float(most), float(most), float(most)), 1.0, files=files)


def _order_parts(results: Results, bound: float) -> list[Part]:
    orders = results.orders()
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
    """Head evaluations for a whole image, both branches of guidance counted, where the preset tells the AR steps."""
    steps = results.ar_steps("marval")
    if steps is None:
        return []
    teacher = steps * paper.teacher_steps
    return [
        f"A whole image of {steps} AR steps takes {steps} head evaluations; the {paper.teacher_steps}-step teacher "
        f"takes {teacher}, and twice as many with guidance's second branch."
    ]
