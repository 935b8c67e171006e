"""F5: whether reward fine-tuning beats drawing several images and keeping the best by the same reward."""

from __future__ import annotations

from typing import Any

from reports.claims.as_good import finding, tolerance
from reports.claims.compare import DIVERSITY, Comparison
from reports.claims.frontier import is_training_reward
from reports.claims.model import NON_INFERIORITY, Claim, Part, above
from reports.intervals import difference
from reports.methods import Family, of_family, settings_timed
from reports.paper import Paper
from reports.regimes import timed
from reports.results import Results
from reports.roles import Role


def check(entry: dict[str, Any], results: Results, paper: Paper) -> Claim:
    """Unseen judges and diversity, seed by seed, against each best of n that takes no longer in some timed regime.

    All parts have to hold, each at its own level; one that fails decides at its level over their number (`combined`).
    """
    return finding(entry, results, paper, _parts(entry, results))


def _parts(entry: dict[str, Any], results: Results) -> list[Part]:
    tuned = results.roles.the(Role.REINFORCED)
    rivals = [v for v in of_family(results, Family.BEST) if _in_time(entry, results, v, tuned)]
    gain, diversity = (tolerance(entry, name) for name in ("gain", "diversity_ratio"))
    judges = [name for name in entry["judges"] if not is_training_reward(results, tuned, name)]
    if not judges:
        return []
    made = []
    for rival in rivals:
        made += [
            Comparison(
                f"{results.title(judge)} above {rival}", judge, tuned, rival, above, gain, difference
            ).part(results)
            for judge in judges
        ]
        name = f"as diverse as {rival}"
        made.append(
            Comparison(name, DIVERSITY, tuned, rival, above, diversity, level=NON_INFERIORITY).part(results)
        )
    return made


def _in_time(entry: dict[str, Any], results: Results, rival: str, tuned: str) -> bool:
    slack = tolerance(entry, "time_ratio")
    pairs = [(timed(results, rival, *at), timed(results, tuned, *at)) for at in settings_timed(results)]
    return any(a and b and a.estimate.value <= slack * b.estimate.value for a, b in pairs)
