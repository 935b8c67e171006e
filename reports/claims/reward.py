"""C4: reward fine-tuning raises judges that it never saw."""

from __future__ import annotations

from reports.claims.compare import DISTANCE, DIVERSITY, Comparison, difference
from reports.claims.model import Claim, Part, Verdict, above
from reports.intervals import ratio
from reports.paper import Paper
from reports.results import Results
from reports.scope import Scope, scope_of
from reports.wording import interval, metric_title, number

AFTER, BEFORE = "marval-rl", "marval"


def reward(results: Results, paper: Paper) -> Claim:
    """Every unseen judge has to rise beyond the interval of its difference; recognisable images are the control."""
    entry, scope = paper.claims["C4"], scope_of(results, paper)
    judges = [name for name in entry["judges"] if not _is_training_reward(results, name)]
    gain = paper.tolerance("C4", "gain")[0]
    parts = [
        _with_seeds(
            Comparison(metric_title(name), name, AFTER, BEFORE, above, gain, difference).part(results)
        )
        for name in judges
    ]
    slack = paper.tolerance("C4", "class_accuracy")[0]
    if results.metric(AFTER, "class_accuracy"):
        control = Comparison(
            "images are still recognised",
            "class_accuracy",
            AFTER,
            BEFORE,
            above,
            -slack,
            difference,
            control=True,
        )
        parts.append(control.part(results))
    return Claim(
        id="C4",
        claim=entry["claim"],
        short=entry["short"],
        source=entry["source"],
        scope=str(scope),
        quantity=f"gain in {metric_title(judges[0])}",
        paper=paper.gain(judges[0]),
        estimate=parts[0].estimate,
        parts=parts,
        tolerances=entry["tolerances"],
        beside=[*_sizes(scope), *_price(results)],
    )


def _sizes(scope: Scope) -> list[str]:
    """The claim is about every size, and a preset has one."""
    if not scope.is_full:
        return []
    return [f"This is size {scope.size} alone; the claim is about all sizes, which need a preset each."]


def _is_training_reward(results: Results, metric: str) -> bool:
    return any(row.is_training_reward for row in (results.metric(v, metric) for v in (AFTER, BEFORE)) if row)


def _with_seeds(part: Part) -> Part:
    """Add on how many seeds the judge rose, so that one seed carrying the mean is seen."""
    gains = part.estimate.values if part.estimate else ()
    if part.verdict is Verdict.NOT_ATTEMPTED or len(gains) < 2:
        return part
    why = f"{part.why}; it rose on {sum(g > 0 for g in gains)} of {len(gains)} seeds"
    return Part(part.name, part.verdict, why, part.estimate, part.bound, part.control, part.files)


def _price(results: Results) -> list[str]:
    """What the gain cost: distance and diversity after over before."""
    lines = []
    for name in (DISTANCE, DIVERSITY, "recall"):
        after, before = results.metric(AFTER, name), results.metric(BEFORE, name)
        if after and before and before.estimate.value > 0 < after.estimate.value:
            values = f"{number(before.estimate.value)} before, {number(after.estimate.value)} after"
            lines.append(
                f"{metric_title(name)}: {values}, ratio {interval(ratio(after.estimate, before.estimate))}."
            )
    return lines
