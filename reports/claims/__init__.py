"""The paper's claims and our findings, each tested from result files: an entry of paper.yaml names the module here that does it.

Such a module's function `check(entry, results, paper) -> Claim` is called where the preset has the roles that the entry names.
It raises nothing for what else is missing: that is a part which is not attempted.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import Any

from reports.claims.model import Claim, Part, Verdict, finite
from reports.formats import md5
from reports.paper import Paper, command
from reports.results import Results
from reports.scope import scope_of

__all__ = ["Claim", "Part", "Verdict", "as_rows", "evaluate", "find"]


def evaluate(results: Results, paper: Paper) -> list[Claim]:
    """Every claim of paper.yaml in its order, whatever is missing."""
    return _all(paper.claims.values(), results, paper)


def find(results: Results, paper: Paper) -> list[Claim]:
    """Every finding, likewise: questions that the paper does not ask."""
    return _all(paper.findings.values(), results, paper)


def _all(entries: Iterable[dict[str, Any]], results: Results, paper: Paper) -> list[Claim]:
    claims = [_checked(entry, results, paper) for entry in entries]
    for claim in claims:
        preset = str(claim.entry["preset"])
        tested = claim.scope == "full" and claim.verdict is not Verdict.NOT_ATTEMPTED
        claim.at_full_scale = "" if tested or preset == results.preset else preset
    return claims


def _checked(entry: dict[str, Any], results: Results, paper: Paper) -> Claim:
    if missing := results.roles.missing(entry["roles"]):
        why = f"no variant has the role {' or '.join(missing)} in preset {results.preset}"
        part = Part("not in this preset", Verdict.NOT_ATTEMPTED, why)
        return Claim(entry, str(scope_of(results, paper)), "nothing was measured", None, None, [part])
    claim: Claim = import_module(f"reports.claims.{entry['module']}").check(entry, results, paper)
    return claim


def as_rows(claims: list[Claim], results: Results) -> list[dict[str, Any]]:
    """The content of claims.json."""
    return [_row(claim, results) for claim in claims]


def _row(claim: Claim, results: Results) -> dict[str, Any]:
    ours = claim.estimate
    return {
        "id": claim.id,
        "claim": claim.claim,
        "source": claim.source,
        "scope": claim.scope,
        "quantity": claim.quantity,
        "paper": finite(claim.paper),
        "ours": finite(ours.value) if ours else None,
        "ci_low": finite(ours.low) if ours else None,
        "ci_high": finite(ours.high) if ours else None,
        "verdict": str(claim.verdict),
        "why": claim.why,
        "at_full_scale": command(claim.at_full_scale) if claim.at_full_scale else None,
        "parts": [_part(part) for part in claim.parts],
        "tolerances": claim.tolerances,
        "beside": claim.beside,
        "evidence": [{"file": results.label(file), "md5": md5(file)} for file in claim.files],
    }


def _part(part: Part) -> dict[str, Any]:
    ours = part.estimate
    return {
        "name": part.name,
        "role": "control" if part.control else "claim",
        "ours": finite(ours.value) if ours else None,
        "ci_low": finite(ours.low) if ours else None,
        "ci_high": finite(ours.high) if ours else None,
        "bound": part.bound,
        "verdict": str(part.verdict),
        "why": part.why,
        "side": part.side,
        "level": part.level,
        "p_fails": finite(part.p_fails),
        "power": part.power,
    }
