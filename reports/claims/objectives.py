"""F3: whether the paper's objective beats each simpler one, on the same teacher, data and steps."""

from __future__ import annotations

from typing import Any

from reports.claims.as_good import finding, tolerance
from reports.claims.compare import DISTANCE, Comparison
from reports.claims.model import Claim, Part, below
from reports.methods import Family, of_family
from reports.paper import Paper
from reports.results import Results
from reports.roles import Role


def check(entry: dict[str, Any], results: Results, paper: Paper) -> Claim:
    """The distance of the student over that of each student of another objective which is sampled as it is."""
    return finding(entry, results, paper, _parts(entry, results))


def _parts(entry: dict[str, Any], results: Results) -> list[Part]:
    student = results.roles.the(Role.STUDENT)
    sampled_alike = results.roles.differing_in("model", student)
    distilled = results.settings["distill"]["variants"]
    bound = tolerance(entry, "distance_ratio")
    return [
        Comparison(
            f"against {distilled[results.roles.model(rival)]['objective']}",
            DISTANCE,
            student,
            rival,
            below,
            bound,
        ).part(results)
        for rival in of_family(results, Family.OBJECTIVE)
        if rival in sampled_alike
    ]
