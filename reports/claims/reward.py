"""C4: reward fine-tuning raises judges that it never saw."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from reports.claims.compare import ACCURACY, DISTANCE, DIVERSITY, Comparison
from reports.claims.model import Claim, Part, Verdict, above
from reports.intervals import difference, ratio
from reports.paper import Paper
from reports.results import Results
from reports.roles import Role
from reports.scope import Scope, scope_of
from reports.wording import interval, number, plural


def check(entry: dict[str, Any], results: Results, paper: Paper) -> Claim:
    """Every unseen judge has to rise beyond the interval of its difference; recognisable images are the control."""
    scope = scope_of(results, paper)
    judges = [name for name in entry["judges"] if not _is_training_reward(results, name)]
    gain, slack = (paper.tolerance(entry["id"], name)[0] for name in ("gain", ACCURACY))
    parts = [_with_seeds(_rise(results, results.title(name), name, gain)) for name in judges]
    if ACCURACY in results.scores(Role.REINFORCED):
        parts.append(_rise(results, "images are still recognised", ACCURACY, -slack, control=True))
    return Claim(
        entry,
        scope=str(scope),
        quantity=f"gain in {results.title(judges[0])}",
        paper=paper.gain(judges[0]),
        estimate=parts[0].estimate,
        parts=parts,
        beside=[_sizes(scope), *_budget(results, paper), *_price(results)],
    )


def _rise(results: Results, name: str, metric: str, bound: float, control: bool = False) -> Part:
    """The change by fine-tuning, which has to lie above `bound`."""
    after, before = (results.roles.the(role) for role in (Role.REINFORCED, Role.STUDENT))
    return Comparison(name, metric, after, before, above, bound, difference, control).part(results)


def _sizes(scope: Scope) -> str:
    """The claim is about every size, and a preset has one."""
    which = f"size {scope.size}" if scope.is_full else "one small model"
    return f"“Consistently over model sizes” is untested here: this is {which} alone, and each size needs a preset."


def _budget(results: Results, paper: Paper) -> list[str]:
    """How long the judged model was fine-tuned, beside what the paper says."""
    section = results.settings.get("reinforce") or {}
    tuned = section.get("variants", {}).get(results.roles.model(results.roles.the(Role.REINFORCED)), {})
    steps, batch = tuned.get("steps"), section.get("training", {}).get("batch")
    if not steps or not batch:
        return []
    epochs = next(cost["epochs"] for cost in paper.content["costs"] if cost["stage"] == "reinforce")
    return [
        f"Judged after {plural(steps, 'step')} of {batch} images, {steps * batch:,} in all; the paper tunes for {epochs} epochs."
    ]


def _is_training_reward(results: Results, metric: str) -> bool:
    rows = (results.scores(role).get(metric) for role in (Role.REINFORCED, Role.STUDENT))
    return any(row.is_training_reward for row in rows if row)


def _with_seeds(part: Part) -> Part:
    """Add on how many seeds the judge rose, so that one seed carrying the mean is seen."""
    gains = part.estimate.values if part.estimate else ()
    if part.verdict is Verdict.NOT_ATTEMPTED or len(gains) < 2:
        return part
    why = f"{part.why}; it rose on {sum(g > 0 for g in gains)} of {len(gains)} seeds"
    return replace(part, why=why)


def _price(results: Results) -> list[str]:
    """What the gain cost: distance and diversity after over before."""
    lines = []
    for name in (DISTANCE, DIVERSITY, "recall"):
        after, before = (results.scores(role).get(name) for role in (Role.REINFORCED, Role.STUDENT))
        if after and before and before.estimate.value > 0 < after.estimate.value:
            values = f"{number(before.estimate.value)} before, {number(after.estimate.value)} after"
            lines.append(
                f"{results.title(name)}: {values}, ratio {interval(ratio(after.estimate, before.estimate))}."
            )
    return lines
