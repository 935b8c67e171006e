r"""Differences and ratios of two measured values, with 95% intervals.

Two ways, chosen by what was measured:

paired      Both values are means over the same two or more seeds. A student of seed s is distilled from the teacher of
            seed s, so the seeds are pairs: the interval is Student's t of the per-seed differences,
            \bar d \pm t_{n-1} s_d / \sqrt n. It covers training again as well as sampling again.
combined    Otherwise. Zou and Donner's MOVER (2008) recovers the variances from the two intervals l1..u1 and l2..u2:
                low  = a - b - sqrt((a - l1)^2 + (u2 - b)^2)
                high = a - b + sqrt((u1 - a)^2 + (b - l2)^2)
            For symmetric normal intervals this is the usual sum of variances, and it keeps asymmetric ones asymmetric.
            With one seed it covers sampling noise alone, and the report says so.

A ratio is the exponential of a difference of logarithms: quantities here (distances, times) are positive and their
errors relative. Its value over seeds is therefore the geometric mean of the seeds' ratios.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A value with its 95% interval; `values` are per seed in the order of `seeds`, empty where the file has none."""

    value: float
    low: float = math.nan
    high: float = math.nan
    values: tuple[float, ...] = ()
    seeds: tuple[int, ...] = ()
    how: str = field(default="", compare=False)

    @property
    def has_interval(self) -> bool:
        return not (math.isnan(self.low) or math.isnan(self.high))

    def mapped(self, function: Callable[[float], float]) -> Estimate:
        """The same estimate on another scale; `function` must increase."""
        return Estimate(
            function(self.value),
            function(self.low),
            function(self.high),
            tuple(map(function, self.values)),
            self.seeds,
            self.how,
        )


def difference(a: Estimate, b: Estimate) -> Estimate:
    """a - b."""
    if paired(a, b):
        return _paired_difference(a, b)
    value = a.value - b.value
    low = value - math.hypot(a.value - a.low, b.high - b.value)
    high = value + math.hypot(a.high - a.value, b.value - b.low)
    return Estimate(value, low, high, how=f"combined from the two intervals ({_seeds(a, b)})")


def ratio(a: Estimate, b: Estimate) -> Estimate:
    """a / b of positive quantities; an interval that reaches zero gives an unbounded ratio."""
    return difference(a.mapped(_log), b.mapped(_log)).mapped(_exp)


def paired(a: Estimate, b: Estimate) -> bool:
    """Whether both hold one value for each of the same two or more seeds."""
    return len(a.values) >= 2 and len(a.values) == len(b.values) == len(a.seeds) and a.seeds == b.seeds


def _paired_difference(a: Estimate, b: Estimate) -> Estimate:
    from scipy.special import stdtrit  # the quantile alone; scipy.stats takes a second to import

    each = np.subtract(a.values, b.values)
    n = len(each)
    mean = float(each.mean())
    reach = float(stdtrit(n - 1, 0.5 + CONFIDENCE / 2) * each.std(ddof=1) / math.sqrt(n))
    return Estimate(
        mean, mean - reach, mean + reach, tuple(each.tolist()), a.seeds, f"t over {n} seeds, paired"
    )


def _seeds(a: Estimate, b: Estimate) -> str:
    if len(a.seeds) == len(b.seeds) == 1:
        return "one seed: sampling noise only, not training again"
    return "seeds not paired"


def _log(x: float) -> float:
    return math.log(x) if x > 0 else (-math.inf if x <= 0 else math.nan)


def _exp(x: float) -> float:
    return math.inf if x > 700 else math.exp(x)
