"""C5: the guidance scale of distillation has an optimum inside its grid, and trades distance against Inception Score."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

from reports.claims.compare import DISTANCE, DIVERSITY, INCEPTION_SCORE, Comparison, Rule
from reports.claims.model import TWO_SIDED, Claim, Part, Verdict, above, below
from reports.intervals import Estimate, difference, ratio
from reports.paper import Paper
from reports.results import Results
from reports.scope import scope_of
from reports.wording import limit


def check(entry: dict[str, Any], results: Results, paper: Paper) -> Claim:
    """The scales are compared with their neighbours on distance, diversity and Inception Score."""
    scope = scope_of(results, paper)
    grid = {w: v for w, v in results.roles.guidance_grid.items() if results.metric(v, DISTANCE)}
    return Claim(
        entry,
        scope=str(scope),
        quantity="guidance scale w with the smallest distance (interval: scales not clearly worse)",
        paper=paper.best_guidance,
        estimate=_best_with_range(results, grid) if len(grid) >= 3 else None,
        parts=_parts(results, grid, paper.best_guidance if scope.is_full else None),
    )


def _parts(results: Results, grid: dict[float, str], printed: float | None) -> list[Part]:
    """`printed` is the paper's best scale, to which full scope is held."""
    if len(grid) < 3:
        why = f"an optimum inside the grid needs three guidance scales, measured: {len(grid)}"
        return [Part("best inside the grid", Verdict.NOT_ATTEMPTED, why)]
    best, scales = _best(results, grid), list(grid)
    parts = _inside(results, grid, best)
    if printed in grid:
        parts.append(_papers_best(results, grid, printed))
    steps = list(pairwise(scales))
    rising = [(a, b) for a, b in steps if a >= best]
    parts += [_step(results, grid, "distance rises", DISTANCE, a, b, above) for a, b in rising]
    if printed is None or results.metric(grid[best], DIVERSITY):
        parts += [_step(results, grid, "diversity falls", DIVERSITY, a, b, below) for a, b in steps]
    # Table 3 has the Inception Score rising at every step; on a proxy, whose score is soon at its ceiling, from end to end
    ends = steps if printed is not None else [(scales[0], scales[-1])]
    return parts + [_score_rises(results, grid, a, b) for a, b in ends]


def _step(
    results: Results, grid: dict[float, str], name: str, metric: str, a: float, b: float, rule: Rule
) -> Part:
    title = f"{name} from w={limit(a)} to {limit(b)}"
    return Comparison(title, metric, grid[b], grid[a], rule, 1.0).part(results)


def _score_rises(results: Results, grid: dict[float, str], a: float, b: float) -> Part:
    title = f"Inception Score rises from w={limit(a)} to {limit(b)}"
    return Comparison(title, INCEPTION_SCORE, grid[b], grid[a], above, 0.0, difference).part(results)


def _papers_best(results: Results, grid: dict[float, str], printed: float) -> Part:
    """The paper's best scale against the best of the others."""
    others = {w: v for w, v in grid.items() if w != printed}
    rival = others[_best(results, others)]
    return Comparison(f"w={limit(printed)} is the best", DISTANCE, grid[printed], rival, below, 1.0).part(
        results
    )


def _inside(results: Results, grid: dict[float, str], best: float) -> list[Part]:
    """The best inner scale is better than either end of the grid.

    It is chosen by the numbers that it is then tested with, so the level is divided by the number of inner scales. Both parts
    must hold for "reproduced"; if an end is the best of all, "not reproduced" asks that it clearly beats the best inner scale.
    """
    scales = list(grid)
    inner = scales[1:-1]
    level = TWO_SIDED / len(inner)
    rival = min(inner, key=lambda w: results.metrics[grid[w]][DISTANCE].estimate.value)
    whole = (
        "the best of all"
        if rival == best
        else f"the best inner scale; the best of all is an end, w={limit(best)}"
    )
    parts = []
    for end in (scales[0], scales[-1]):
        name = f"an inner scale beats the end w={limit(end)}"
        part = Comparison(name, DISTANCE, grid[rival], grid[end], below, 1.0, level=level).part(results)
        parts.append(replace(part, why=f"w={limit(rival)} is {whole}: {part.why}"))
    return parts


def _best(results: Results, grid: dict[float, str]) -> float:
    return min(grid, key=lambda w: results.metrics[grid[w]][DISTANCE].estimate.value)


def _best_with_range(results: Results, grid: dict[float, str]) -> Estimate:
    """The best scale, with the range of scales whose distance is not clearly larger."""
    best = _best(results, grid)
    smallest = results.metrics[grid[best]][DISTANCE].estimate
    close = [
        w
        for w, v in grid.items()
        if w == best
        or above(ratio(results.metrics[v][DISTANCE].estimate, smallest), 1.0) is not Verdict.REPRODUCED
    ]
    return Estimate(best, min(close), max(close))
