"""Verdict rules on made-up data with a known truth: how often they decide wrongly, and that they can decide either way.

The truth lies at the bound (a wrong decision then happens as often as it ever may) or well beyond it. Rates of some hundred
repetitions scatter: a stated level of p is accepted up to p + 3 sqrt(p (1 - p) / repetitions).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from reports.claims.as_good import Rival, judged
from reports.claims.compare import Held
from reports.claims.frontier import _excess
from reports.claims.model import NON_INFERIORITY, TWO_SIDED, Part, Verdict, above, below, combined
from reports.intervals import (
    Estimate,
    Halves,
    difference,
    exponential,
    from_halves,
    logarithm,
    over_teacher,
    ratio,
    ratio_over_teacher,
)

REPETITIONS, IMAGES, HALVES = 400, 200, 30
SPREAD = 0.3  # of one image
BOUND = 1.18
Draw = Callable[[np.random.Generator, float], Estimate]  # of a quantity whose truth is given


def accepted(level: float) -> float:
    return level + 3 * math.sqrt(level * (1 - level) / REPETITIONS)


def rates(
    draw: Draw, truth: float, rule: Callable[..., Verdict], bound: float, level: float
) -> dict[Verdict, float]:
    rng = np.random.default_rng(0)
    found = [rule(draw(rng, truth), bound, level) for _ in range(REPETITIONS)]
    return {verdict: found.count(verdict) / REPETITIONS for verdict in Verdict}


def halves_of(rng: np.random.Generator) -> np.ndarray:
    """`(HALVES, IMAGES / 2)`: the images of each."""
    return rng.permuted(np.tile(np.arange(IMAGES), (HALVES, 1)), axis=1)[:, : IMAGES // 2]


def measured(images: np.ndarray, halves: np.ndarray, seed: int = 0) -> Estimate:
    """A positive metric of images, as a row of a result file has it."""
    value = float(images.mean())
    of_halves = Halves("same", tuple(images[halves].mean(1).tolist()))
    return Estimate(value, 0.0, 2 * value, (value,), (seed,), halves=(of_halves,))


def mean_of_sets(sets: list[Estimate]) -> Estimate:
    """A metric of several sets of one seed's images, as `metrics.rows` averages it."""
    value = float(np.mean([row.value for row in sets]))
    halves = Halves("same", tuple(np.mean([row.halves[0].values for row in sets], axis=0).tolist()))
    return Estimate(value, 0.0, 2 * value, (value,), (0,), halves=(halves,))


def joined(rows: list[Estimate], seeds: range) -> Estimate:
    values = tuple(row.value for row in rows)
    return Estimate(
        float(np.mean(values)), 0, 9, values, tuple(seeds), halves=tuple(row.halves[0] for row in rows)
    )


def on_halves(rng: np.random.Generator, truth: float) -> Estimate:
    """Two variants of one seed that share most of their images' luck."""
    halves, shared = halves_of(rng), rng.normal(0, SPREAD, IMAGES)
    a, b = (x * (1 + shared + rng.normal(0, SPREAD / 3, IMAGES)) for x in (truth, 1.0))
    return ratio(measured(a, halves), measured(b, halves))


def over_seeds(rng: np.random.Generator, truth: float) -> Estimate:
    """Three seeds: training moves a pair of variants together, and each a little by itself."""
    together = rng.normal(0, 0.2, 3)
    a, b = (np.exp(math.log(x) + together + rng.normal(0, 0.03, 3)) for x in (truth, 1.0))
    rows = [joined([measured(np.full(IMAGES, v), halves_of(rng)) for v in x], range(3)) for x in (a, b)]
    return ratio(*rows)


def given_teacher(rng: np.random.Generator, truth: float, sets: int = 1) -> Estimate:
    """Six students of one teacher, which is itself sampled once, or in several sets."""
    teacher = mean_of_sets([measured(1 + rng.normal(0, SPREAD, IMAGES), halves_of(rng)) for _ in range(sets)])
    students = truth * np.exp(rng.normal(0, 0.04, 6))
    rows = [
        measured(x * (1 + rng.normal(0, SPREAD, IMAGES)), halves_of(rng), seed)
        for seed, x in enumerate(students)
    ]
    return ratio_over_teacher(joined(rows, range(6)), teacher, dict.fromkeys(range(6), 0))


def two_teachers(rng: np.random.Generator, truth: float) -> Estimate:
    """Two very different teachers with three students each: only their students' spread counts."""
    level = [1.0, 2.0]
    teacher = joined(
        [measured(x * (1 + rng.normal(0, SPREAD, IMAGES)), halves_of(rng)) for x in level], range(2)
    )
    students = [level[s // 3] * truth * math.exp(rng.normal(0, 0.04)) for s in range(6)]
    rows = [measured(x * (1 + rng.normal(0, SPREAD, IMAGES)), halves_of(rng)) for x in students]
    return ratio_over_teacher(joined(rows, range(6)), teacher, {s: s // 3 for s in range(6)})


def ratio_of_ratios(rng: np.random.Generator, truth: float) -> Estimate:
    """An order's price for three students over its price for their teacher."""

    def price(factor: float, count: int, spread: float) -> Estimate:
        pairs = []
        for _ in range(count):
            halves, shared = halves_of(rng), rng.normal(0, SPREAD, IMAGES)
            own = factor * math.exp(rng.normal(0, spread))
            pairs.append(
                [measured(x * (1 + shared + rng.normal(0, 0.1, IMAGES)), halves) for x in (own, 1.0)]
            )
        a, b = (joined([pair[i] for pair in pairs], range(count)) for i in (0, 1))
        return difference(logarithm(a), logarithm(b))

    return exponential(
        over_teacher(price(1.5 * truth, 3, 0.02), price(1.5, 1, 0.0), dict.fromkeys(range(3), 0))
    )


RULES = {
    "halves": (on_halves, NON_INFERIORITY),
    "seeds": (over_seeds, TWO_SIDED),
    "one given teacher": (given_teacher, NON_INFERIORITY),
    "three sets of its images": (partial(given_teacher, sets=3), NON_INFERIORITY),
    "two given teachers": (two_teachers, NON_INFERIORITY),
    "ratio of ratios": (ratio_of_ratios, NON_INFERIORITY),
}


@pytest.mark.parametrize("name", RULES)
def test_wrong_decisions_at_the_bound_are_as_rare_as_stated(name: str) -> None:
    draw, level = RULES[name]
    found = rates(draw, BOUND, below, BOUND, level)
    assert found[Verdict.REPRODUCED] <= accepted(level), found
    assert found[Verdict.NOT_REPRODUCED] <= accepted(level), found
    assert found[Verdict.REPRODUCED] + found[Verdict.NOT_REPRODUCED] > level / 4  # no idle caution


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize(("truth", "verdict"), [(0.8, Verdict.REPRODUCED), (1.7, Verdict.NOT_REPRODUCED)])
def test_a_rule_can_say_either(name: str, truth: float, verdict: Verdict) -> None:
    draw, level = RULES[name]
    assert rates(draw, truth, below, BOUND, level)[verdict] > 0.8


def test_stated_power_is_the_power() -> None:
    """At the truth that a part names, it decides in 80% of repetitions."""
    held = Held("part", below, BOUND, NON_INFERIORITY)
    part = held.part(given_teacher(np.random.default_rng(1), 1.0), "measured", ())
    assert "80% power" in part.power
    spread = np.std([math.log(given_teacher(np.random.default_rng(i), 1.0).value) for i in range(300)])
    truth = BOUND * math.exp(-(1.645 + 0.842) * spread)  # with the true standard error
    found = rates(given_teacher, truth, below, BOUND, NON_INFERIORITY)
    assert 0.68 < found[Verdict.REPRODUCED] < 0.9


def part_of(estimate: Estimate, level: float = NON_INFERIORITY) -> Part:
    return Held("part", below, BOUND, level).part(estimate, "measured", ())


def test_one_of_many_parts_fails_no_claim_by_chance() -> None:
    """Five parts, all of them true at the very bound: that any fails clearly is as rare as for one."""
    rng = np.random.default_rng(0)
    found = [combined([part_of(on_halves(rng, BOUND)) for _ in range(5)]) for _ in range(REPETITIONS)]
    assert found.count(Verdict.NOT_REPRODUCED) / REPETITIONS <= accepted(NON_INFERIORITY)
    alone = [
        any(part_of(on_halves(rng, BOUND)).verdict is Verdict.NOT_REPRODUCED for _ in range(5))
        for _ in range(REPETITIONS)
    ]
    assert sum(alone) / REPETITIONS > accepted(NON_INFERIORITY)  # what it would be without the correction


def test_one_clear_failure_among_many_parts_decides() -> None:
    rng = np.random.default_rng(0)
    parts = [part_of(on_halves(rng, truth)) for truth in (0.9, 0.9, 0.9, 1.6)]
    assert combined(parts) is Verdict.NOT_REPRODUCED


def test_a_failure_that_is_not_clear_enough_leaves_the_claim_open() -> None:
    files: tuple[Path, ...] = ()
    failing = Part("p", Verdict.NOT_REPRODUCED, "why", Estimate(1, 1, 1), 1.0, False, files, p_fails=0.02)
    holding = Part("q", Verdict.REPRODUCED, "why", Estimate(1, 1, 1), 1.0, False, files, p_fails=0.9)
    assert combined([failing]) is Verdict.NOT_REPRODUCED
    assert combined([failing, holding]) is Verdict.INCONCLUSIVE


def test_an_optimum_is_not_found_inside_a_flat_grid() -> None:
    """The best of two inner scales is chosen by the numbers that it is tested with: its level is halved."""
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(REPETITIONS):
        halves, shared = halves_of(rng), rng.normal(0, SPREAD, IMAGES)
        grid = [measured(1 + shared + rng.normal(0, 0.1, IMAGES), halves) for _ in range(4)]
        inner = min(grid[1:3], key=lambda e: e.value)
        hits += below(ratio(inner, grid[0]), 1.0, TWO_SIDED / 2) is Verdict.REPRODUCED
    assert hits / REPETITIONS <= accepted(TWO_SIDED)


def frontier(rng: np.random.Generator, lift: float) -> Estimate:
    """Five students on a frontier, and a tuned model `lift` above it, all with noise that they share in part."""
    halves, shared = halves_of(rng), rng.normal(0, SPREAD, (2, IMAGES))
    variances = np.array([3.3, 6.0, 4.5, 3.5, 2.5, 1.5])
    levels = 80 - 5 * np.log(variances)
    levels[0] += lift
    noise = shared + rng.normal(0, 0.1, (6, 2, IMAGES))
    images = np.stack([variances, levels], 1)[:, :, None] * (1 + 0.1 * noise)
    each = [_excess([tuple(x.mean(1)) for x in images[:, :, half]]) for half in halves]
    value = _excess([tuple(x.mean(1)) for x in images])
    assert value is not None
    return from_halves(value, 0, Halves("same", tuple(float(x) for x in each if x is not None)))


def test_a_model_on_the_frontier_is_not_above_it() -> None:
    found = rates(frontier, 0.0, above, 0.0, TWO_SIDED)
    assert (
        found[Verdict.REPRODUCED] <= accepted(TWO_SIDED) + 0.02
    )  # the interpolation is straight, the frontier bent
    assert rates(frontier, 2.0, above, 0.0, TWO_SIDED)[Verdict.REPRODUCED] > 0.9
    assert rates(frontier, -2.0, above, 0.0, TWO_SIDED)[Verdict.NOT_REPRODUCED] > 0.9


def rivals(rng: np.random.Generator, *truths: tuple[float, float, float]) -> list[Rival]:
    """Of true (distance, diversity, time), each a ratio to one student's; all share the error of that student."""
    errors, bounds = (0.05, 0.05, 0.01), (BOUND, 0.85, 1.0)
    shared = rng.normal(0, errors)
    found = []
    for truth in truths:
        logs = np.log(truth) + (shared + rng.normal(0, errors)) / math.sqrt(2)
        distance, diversity, time = (
            Held("part", rule, bound, NON_INFERIORITY / 3).part(
                exponential(Estimate(x, x - 1.96 * error, x + 1.96 * error)), "measured", ()
            )
            for x, error, rule, bound in zip(logs, errors, (below, above, below), bounds, strict=True)
        )
        found.append(Rival("rival", distance, diversity, time, 1.0))
    return found


def judgements(*truths: tuple[float, float, float]) -> dict[Verdict, float]:
    rng = np.random.default_rng(0)
    found = [judged(rivals(rng, *truths)).verdict for _ in range(REPETITIONS)]
    return {verdict: found.count(verdict) / REPETITIONS for verdict in Verdict}


GOOD, FAR, SLOW = (0.9, 1.2, 0.8), (1.8, 1.0, 0.8), (0.9, 1.0, 1.2)


@pytest.mark.parametrize(
    "truth",
    [(BOUND, 0.85, 1.0), (0.8, 1.2, 1.0), (BOUND, 1.2, 0.8)],  # at the bounds of all, of time, of distance
)
def test_a_rival_that_matches_is_beaten_as_rarely_as_stated(truth: tuple[float, float, float]) -> None:
    """That others are beaten does not matter."""
    found = judgements(truth, FAR, SLOW)
    assert found[Verdict.REPRODUCED] <= accepted(NON_INFERIORITY), found


@pytest.mark.parametrize(
    "truths",
    [[(BOUND, 1.2, 0.8)] * 6, [(0.8, 1.2, 1.0)] * 6, [(BOUND, 1.2, 0.8), (0.8, 1.2, 1.0)] * 3],
)
def test_many_rivals_that_do_not_match_refute_as_rarely_as_stated(
    truths: list[tuple[float, float, float]],
) -> None:
    """Six, each at the edge of what a match may be."""
    rng = np.random.default_rng(0)
    drawn = [rivals(rng, *truths) for _ in range(REPETITIONS)]
    refuted = [judged(found).verdict is Verdict.NOT_REPRODUCED for found in drawn]
    assert sum(refuted) / REPETITIONS <= accepted(NON_INFERIORITY)
    alone = [any(worst(rival) <= NON_INFERIORITY for rival in found) for found in drawn]
    assert sum(alone) / REPETITIONS > accepted(NON_INFERIORITY)  # what it would be without the correction


def worst(rival: Rival) -> float:
    """The largest p-value of what a match has to be."""
    return max(part.p_holds or 0.0 for part in (*rival.quality, rival.time))


def test_rivals_are_judged_either_way() -> None:
    assert judgements(FAR, SLOW, FAR)[Verdict.REPRODUCED] > 0.9
    assert judgements(GOOD, SLOW, FAR)[Verdict.NOT_REPRODUCED] > 0.9
