"""Rows of a forest plot on one scale for every quantity: how far an estimate and its interval are from their bound.

Claims are about ratios, scores and shares, whose units have nothing in common. The margin of an estimate is its distance from the
bound in half-widths of its own 95% interval, positive on the side where the claim holds,

    margin(x) = s (x - bound) / |value - end|,    s = 1 for "above the bound", -1 for "below it",

`end` being the interval's end that faces the bound. So an interval to the right of 0 holds, one to the left fails, one across 0
is open, and a margin of 2 is twice as far from the bound as the interval would need. The page stretches it by asinh, so that
near and far margins are seen together; the sign and the bound stay where they are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from reports.claims import Claim, Part, Verdict
from reports.intervals import Estimate, difference
from reports.wording import ARROW, bounds, interval, limit, number

FARTHEST = 12.0  # margin at the ends of the scale; what is beyond is drawn at the end
TICKS = (-10, -3, 0, 3, 10)
ROWS = 22  # about as many as the first screen has room for; a claim's section has all of its parts
EDGE = 2.0  # percent of the width that stay free at both ends


@dataclass(frozen=True)
class Row:
    """One line of the plot; places are percent of the width, None where there is nothing to draw."""

    label: str
    verdict: str
    measured: str
    bounds: str
    required: str
    why: str
    control: bool = False
    place: float | None = None
    low: float | None = None
    high: float | None = None
    paper: float | None = None
    power: str = ""


def rows(claim: Claim) -> list[Row]:
    """A row for each part of a claim; the part that is the claim's headline has the paper's value too."""
    return [_row(claim, part) for part in claim.parts]


def short(claims: list[Claim]) -> list[tuple[list[Row], int]]:
    """For each claim the rows that a screen has room for, and how many others there are.

    The same number for each claim: those that fail, then those with the least margin, in their own order.
    """
    counts = [len(claim.parts) for claim in claims]
    most = max((n for n in range(1, max(counts, default=0) + 1) if _total(counts, n) <= ROWS), default=1)
    return [_short(claim, most) for claim in claims]


def _total(counts: list[int], most: int) -> int:
    """Rows of claims with so many parts, `most` of each and a row that says how many more there are."""
    return sum(min(count, most) + (count > most) for count in counts)


def _short(claim: Claim, most: int) -> tuple[list[Row], int]:
    def urgency(part: Part) -> tuple[bool, bool, float]:
        margin = _margin(part)
        return part.verdict is not Verdict.NOT_REPRODUCED, part.control, margin.value if margin else math.inf

    urgent = sorted(claim.parts, key=urgency)[:most]
    shown = [part for part in claim.parts if part in urgent or part.verdict is Verdict.NOT_REPRODUCED]
    return [_row(claim, part) for part in shown], len(claim.parts) - len(shown)


def changes(first: Claim, second: Claim) -> list[Row]:
    """Second minus first of every part that both have measured; the scale's middle is "no change"."""
    others = {part.name: part for part in second.parts}
    return [_change(part, others[part.name]) for part in first.parts if part.name in others]


def _change(one: Part, two: Part) -> Row:
    estimates = one.estimate, two.estimate
    moved = difference(two.estimate, one.estimate) if two.estimate and one.estimate else None
    margin = margin_of(moved, 0.0, 1) if moved else None
    low, value, high = places(margin) if margin else (None, None, None)
    same = one.verdict is two.verdict
    verdicts = str(one.verdict) if same else f"{one.verdict} {ARROW} {two.verdict}"
    return Row(
        label=one.name,
        verdict="changed" if margin and margin.low * margin.high > 0 else "same",
        measured=f" {ARROW} ".join(number(e.value if e else None) for e in estimates),
        bounds="",
        required=interval(moved) if moved else "",
        why=verdicts,
        control=one.control,
        place=value,
        low=low,
        high=high,
    )


def places(estimate: Estimate) -> tuple[float, float, float]:
    """(low, value, high) of a margin on the page, in percent of the width."""
    low, value, high = (place(x) for x in (estimate.low, estimate.value, estimate.high))
    return low, value, high


def place(margin: float) -> float:
    """Of a margin on the page: 50 is the bound."""
    stretched = math.asinh(max(-FARTHEST, min(FARTHEST, margin))) / math.asinh(FARTHEST)
    return round(50 + (50 - EDGE) * stretched, 2)


def ticks() -> list[tuple[str, float]]:
    """(margin, place) of the scale's marks; the bound's own has no number."""
    return [(f"{x:+d}" if x else "", place(x)) for x in TICKS]


def margin_of(estimate: Estimate, bound: float, sign: int) -> Estimate | None:
    """The margin with its interval; None without an interval of some width."""
    if not estimate.has_interval:
        return None
    value = sign * (estimate.value - bound)
    low, high = sorted(sign * (end - bound) for end in (estimate.low, estimate.high))
    reach = value - low if value >= 0 else high - value
    if not 0 < reach < math.inf:
        return None
    return Estimate(value / reach, low / reach, high / reach)


def _margin(part: Part) -> Estimate | None:
    sign = part.side
    if part.estimate is None or part.bound is None or sign is None:
        return None
    return margin_of(part.estimate, part.bound, sign)


def _row(claim: Claim, part: Part) -> Row:
    sign, margin = part.side, _margin(part)
    symbol = {1: "> ", -1: "< "}.get(sign or 0, "")
    low, value, high = places(margin) if margin else (None, None, None)
    return Row(
        label=part.name,
        verdict=str(part.verdict),
        measured=number(part.estimate.value) if part.estimate else "",
        bounds=bounds(part.estimate),
        required=f"{symbol}{limit(part.bound)}" if part.bound is not None else "",
        why=part.why[:1].upper() + part.why[1:],
        control=part.control,
        place=value,
        low=low,
        high=high,
        paper=_papers(claim, part, sign, margin),
        power=part.power[:1].upper() + part.power[1:],
    )


def _papers(claim: Claim, part: Part, sign: int | None, margin: Estimate | None) -> float | None:
    """Where the paper's own value would lie, in the half-widths of ours."""
    if margin is None or sign is None or claim.paper is None or part.estimate != claim.estimate:
        return None
    assert part.estimate is not None
    assert part.bound is not None
    distance = abs(part.estimate.value - part.bound)
    return place(sign * (claim.paper - part.bound) * abs(margin.value) / distance) if distance else None
