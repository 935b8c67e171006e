"""The paper's five claims, each tested from result files."""

from __future__ import annotations

from typing import Any

from reports.claims.guidance import guidance
from reports.claims.model import Claim, Part, Verdict, finite
from reports.claims.one_step import one_step
from reports.claims.quality import quality
from reports.claims.reward import reward
from reports.claims.speedup import speedup
from reports.formats import md5
from reports.paper import Paper, command
from reports.results import Results

CLAIMS = (one_step, speedup, quality, reward, guidance)

__all__ = ["CLAIMS", "Claim", "Part", "Verdict", "as_rows", "evaluate"]


def evaluate(results: Results, paper: Paper) -> list[Claim]:
    """C1 to C5 in order; every one of them, whatever is missing."""
    claims = [test(results, paper) for test in CLAIMS]
    for claim in claims:
        preset = str(paper.claims[claim.id]["preset"])
        tested = claim.scope == "full" and claim.verdict is not Verdict.NOT_ATTEMPTED
        claim.at_full_scale = "" if tested or preset == results.preset else preset
    return claims


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
    }
