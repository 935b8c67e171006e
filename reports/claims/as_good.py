"""What findings about rivals share: when a method is as good as another one, and the finding that is made of parts.

As good is whose distance and diversity are not clearly worse than allowed.
"""

from __future__ import annotations

from typing import Any

from reports.claims.compare import DISTANCE, DIVERSITY, Comparison
from reports.claims.model import Claim, Part, Verdict, above, below
from reports.paper import Paper
from reports.results import Results
from reports.scope import scope_of


def as_good(entry: dict[str, Any], results: Results, rival: str, student: str) -> list[Part]:
    """Distance from above and diversity from below, as ratios of the rival's to the student's."""
    far, near = tolerance(entry, "distance_ratio"), tolerance(entry, "diversity_ratio")
    return [
        Comparison(f"distance of {rival}", DISTANCE, rival, student, below, far).part(results),
        Comparison(f"diversity of {rival}", DIVERSITY, rival, student, above, near).part(results),
    ]


def verdict(parts: list[Part]) -> Verdict:
    """REPRODUCED: as good in all. NOT_REPRODUCED: clearly worse in one. Else open."""
    found = [part.verdict for part in parts]
    if Verdict.NOT_REPRODUCED in found:
        return Verdict.NOT_REPRODUCED
    return Verdict.REPRODUCED if set(found) == {Verdict.REPRODUCED} else Verdict.INCONCLUSIVE


def finding(entry: dict[str, Any], results: Results, paper: Paper, parts: list[Part]) -> Claim:
    """Its headline is the first part that has an estimate; without parts it is not attempted."""
    if not parts:
        parts = [Part("rivals", Verdict.NOT_ATTEMPTED, "this preset has no rival that the question is about")]
    known = [part for part in parts if part.estimate and not part.control]
    return Claim(
        entry,
        scope=str(scope_of(results, paper)),
        quantity=str(entry["quantity"]),
        paper=None,
        estimate=known[0].estimate if known else None,
        parts=parts,
    )


def tolerance(entry: dict[str, Any], name: str) -> float:
    return float(entry["tolerances"][name]["value"])
