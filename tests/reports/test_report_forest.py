"""The first screen: margins on one scale, what is chosen where there is little room, and the sentences."""

from __future__ import annotations

import math
from typing import Any

import pytest

from reports import forest, front
from reports.claims import Claim, Part, Verdict
from reports.claims.model import above, below
from reports.intervals import Estimate


def part(name: str, low: float, value: float, high: float, bound: float, side: int, **how: Any) -> Part:
    """As the claims make them."""
    estimate = Estimate(value, low, high)
    verdict = (above if side > 0 else below)(estimate, bound)
    return Part(name, verdict, "measured", estimate, bound, side=side, **how)


def claim(id: str, *parts: Part, paper: float | None = None) -> Claim:
    entry = {"id": id, "claim": "words", "title": "Title", "source": "here", "tolerances": {}}
    return Claim(entry, "proxy", "a ratio", paper, parts[0].estimate, list(parts))


HOLDS = part("faster", 35.0, 40.0, 60.0, 30.0, 1)
FAILS = part("order", 1.3, 1.5, 1.7, 1.18, -1)
OPEN = part("distance", 0.9, 1.1, 1.3, 1.18, -1)


@pytest.mark.parametrize(
    ("one", "ends"), [(HOLDS, (1.0, 2.0, 6.0)), (FAILS, (-2.6, -1.6, -0.6)), (OPEN, (-0.6, 0.4, 1.4))]
)
def test_the_margin_is_the_distance_to_the_bound_in_half_widths(
    one: Part, ends: tuple[float, float, float]
) -> None:
    margin = forest.margin_of(one.estimate, one.bound, one.side)
    assert (margin.low, margin.value, margin.high) == pytest.approx(ends)


@pytest.mark.parametrize("one", [HOLDS, FAILS, OPEN])
def test_the_interval_lies_on_the_side_that_the_verdict_says(one: Part) -> None:
    (row,) = forest.rows(claim("C1", one))
    assert (row.low > 50, row.high < 50) == (
        one.verdict is Verdict.REPRODUCED,
        one.verdict is Verdict.NOT_REPRODUCED,
    )


@pytest.mark.parametrize(
    "estimate", [Estimate(1.0), Estimate(1.0, 1.0, 1.0), Estimate(2.0, -math.inf, math.inf)]
)
def test_what_has_no_interval_of_some_width_is_not_drawn(estimate: Estimate) -> None:
    (row,) = forest.rows(claim("C1", Part("p", Verdict.REPRODUCED, "required above 0", estimate, 0.0)))
    assert row.place is None
    assert row.measured


def test_far_margins_stay_on_the_page_and_the_order_is_kept() -> None:
    places = [forest.place(x) for x in (-1e9, -12, -3, 0, 0.5, 3, 12, 1e9, math.inf)]
    assert places == sorted(places)
    assert places[0] >= 0
    assert places[-1] <= 100
    assert forest.place(0) == 50


def test_the_papers_value_is_in_the_half_widths_of_ours() -> None:
    """40 is 2 half-widths beyond 30, so 35 is 1."""
    (row,) = forest.rows(claim("C2", HOLDS, paper=35.0))
    assert row.paper == pytest.approx(forest.place(1.0))


def test_little_room_keeps_what_fails_and_what_is_nearest_the_bound() -> None:
    clear = [part(f"clear {i}", 100.0 + i, 101.0 + i, 102.0 + i, 0.0, 1) for i in range(30)]
    claims = [claim("C1", *clear, FAILS, OPEN), claim("C2", HOLDS)]
    (rows, more), (others, none) = forest.short(claims)
    assert {"order", "distance"} <= {row.label for row in rows}
    assert len(rows) + 1 + len(others) <= forest.ROWS
    assert more == len(claims[0].parts) - len(rows)
    assert none == 0


def test_changes_are_second_minus_first() -> None:
    slower = part("faster", 9.0, 10.0, 11.0, 30.0, 1)
    (row,) = forest.changes(claim("C2", HOLDS), claim("C2", slower))
    assert row.verdict == "changed"
    assert row.high < 50
    assert row.required.startswith("-30.00 [")
    assert row.why == "reproduced → not reproduced"
    (same,) = forest.changes(claim("C2", HOLDS), claim("C2", HOLDS))
    assert (same.verdict, same.place) == ("same", 50)


def test_the_result_counts_what_holds_and_names_the_rest() -> None:
    claims = [claim("C1", FAILS), claim("C2", HOLDS), claim("C3", OPEN), claim("C4", HOLDS)]
    assert (
        front.result(claims, "digits")
        == "2 of 4 claims hold on digits (C2 and C4); C1 does not hold; C3 stays open."
    )
    assert front.result([claim("C1", FAILS)], "x") == "None of 1 claims hold on x; C1 does not hold."
    turned = {"C1": claim("C1", HOLDS)}
    assert front.changed({"C1": claim("C1", FAILS)}, turned, ["a", "b"]).endswith(
        "C1 (not reproduced → reproduced)."
    )


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ([HOLDS], "Its whole interval is beyond the bound."),
        ([HOLDS, HOLDS], "Both parts hold."),
        ([FAILS, OPEN, HOLDS], "1 of 3 parts fails: order."),
        ([OPEN, HOLDS], "1 of 2 parts is open: distance."),
        ([OPEN], "Its one part is open: distance."),
        (
            [HOLDS, part("recognised", -0.3, -0.2, -0.1, -0.02, 1, control=True)],
            "The parts hold, but a control fails: recognised.",
        ),
    ],
)
def test_why_in_one_short_sentence(parts: list[Part], sentence: str) -> None:
    assert front.short(claim("C1", *parts)) == sentence


def test_a_failure_that_is_not_clear_among_several_leaves_its_claim_open_and_is_named() -> None:
    unclear = part("order", 1.19, 1.5, 1.9, 1.18, -1, p_fails=0.02)
    found = claim("C1", HOLDS, unclear)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert front.short(found) == "1 of 2 parts fails, but not clearly enough among so many: order."
    twice = claim("C1", HOLDS, unclear, unclear)
    assert twice.why.startswith("2 of 3 parts fail, but not clearly enough among so many, the first:")
    mixed = claim("C1", unclear, OPEN)
    assert front.short(mixed).startswith(
        "2 of 2 parts are open (1 fails, but not clearly enough among so many)"
    )
