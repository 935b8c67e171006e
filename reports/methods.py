"""What kind of method a variant is, read off its settings: for what compares all of them."""

from __future__ import annotations

from enum import StrEnum

from reports.regimes import timed
from reports.results import Results
from reports.roles import Role

PAPERS_OBJECTIVE = "gsim"


class Family(StrEnum):
    """Kinds of methods, in the order of tables and legends."""

    TEACHER = "teacher, sampled as in MAR"
    TRAINING_FREE = "teacher, sampled otherwise"
    STUDENT = "one step, the paper's objective"
    OBJECTIVE = "one step, another objective"
    BEST = "one step, best of several"
    REINFORCED = "one step, tuned by reward"


def family(results: Results, variant: str) -> Family:
    """Of a variant that the settings know; one of several drawn by reward is `BEST`, whatever is drawn."""
    settings = results.variants[variant]
    model = str(settings.get("model", ""))
    distilled = (results.settings.get("distill") or {}).get("variants") or {}
    tuned = (results.settings.get("reinforce") or {}).get("variants") or {}
    if settings.get("best_of", 1) > 1:
        return Family.BEST
    if model in tuned:
        return Family.REINFORCED
    if model in distilled:
        papers = distilled[model].get("objective", PAPERS_OBJECTIVE) == PAPERS_OBJECTIVE
        return Family.STUDENT if papers else Family.OBJECTIVE
    role = results.roles.of(variant)
    if role in (Role.STUDENT, Role.REINFORCED):  # where only time is measured, and no model is trained
        return Family.STUDENT if role is Role.STUDENT else Family.REINFORCED
    return Family.TRAINING_FREE if role is Role.RIVAL else Family.TEACHER


def of_family(results: Results, *families: Family) -> list[str]:
    """The variants of these families, family by family."""
    return [v for wanted in families for v in results.variants if family(results, v) is wanted]


def settings_timed(results: Results) -> list[tuple[int, str]]:
    """(batch, mode) that were timed, smallest batch first; empty without timings."""
    return sorted({(row.batch, row.mode) for row in results.speed})


def frontier(results: Results, metric: str, batch: int, mode: str) -> list[str]:
    """The variants than which none is both as fast and as good by a metric of which less is better, fastest first."""
    points: list[tuple[float, float, str]] = []
    for variant in results.variants:
        row, scored = timed(results, variant, batch, mode), results.metric(variant, metric)
        if row and scored:
            points.append((row.estimate.value, scored.estimate.value, variant))
    best, found = float("inf"), []
    for _, value, variant in sorted(points):
        if value < best:
            best = value
            found.append(variant)
    return found
