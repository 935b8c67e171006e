r"""Differences and ratios of two measured values, with 95% intervals.

Three ways, chosen by what the two have in common:

seeds       Both have values of two or more common seeds: Student's t of the differences seed by seed,
            \bar d \pm t_{n-1} s_d / \sqrt n. It covers training again as well as sampling again.
halves      They have one common seed, and each the metric on the same random halves of that seed's images: the standard error of
            the difference is the standard deviation of the halves' differences (metrics/README.md). What noise, orders and
            classes the two share cancels. It covers sampling again, of the models as they are.
combined    Otherwise. Zou and Donner's MOVER (2008) recovers the variances from the two intervals l1..u1 and l2..u2:
                low  = a - b - sqrt((a - l1)^2 + (u2 - b)^2)
                high = a - b + sqrt((u1 - a)^2 + (b - l2)^2)

`over_teacher` is a fourth, for students of one or a few given teachers.

A ratio is the exponential of a difference of logarithms: quantities here (distances, times) are positive and their
errors relative. Its value over seeds is therefore the geometric mean of the seeds' ratios.

All intervals are conditional on the real images that a metric compares with, and on the judge.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Halves:
    """A metric on H random halves of the images of one seed; `id` says which halves."""

    id: str
    values: tuple[float, ...]


@dataclass(frozen=True)
class Estimate:
    """A value with its 95% interval; `values` are per seed in the order of `seeds`, empty where the file has none.

    `halves`: of each seed, empty where there are none. `degrees`: of freedom of Student's t behind the interval; infinite for
    a normal one. `is_log`: whether the interval is one of the logarithm.
    """

    value: float
    low: float = math.nan
    high: float = math.nan
    values: tuple[float, ...] = ()
    seeds: tuple[int, ...] = ()
    how: str = field(default="", compare=False)
    halves: tuple[Halves, ...] = field(default=(), compare=False, repr=False)
    degrees: float = field(default=math.inf, compare=False)
    is_log: bool = field(default=False, compare=False)

    @property
    def has_interval(self) -> bool:
        return not (math.isnan(self.low) or math.isnan(self.high))

    def mapped(self, function: Callable[[float], float]) -> Estimate:
        """The same estimate on another scale; `function` must increase."""
        return replace(
            self,
            value=function(self.value),
            low=function(self.low),
            high=function(self.high),
            values=tuple(map(function, self.values)),
            halves=tuple(Halves(h.id, tuple(map(function, h.values))) for h in self.halves),
        )

    def of_seeds(self, seeds: Sequence[int]) -> Estimate:
        """Values and halves of some of the seeds, in this order; without an interval."""
        places = [self.seeds.index(seed) for seed in seeds]
        values = tuple(self.values[i] for i in places)
        halves = tuple(self.halves[i] for i in places) if self.halves else ()
        return Estimate(float(np.mean(values)), values=values, seeds=tuple(seeds), halves=halves)

    def error(self, bound: float) -> float:
        """The standard error towards `bound`, on the scale on which the interval was made; nan without an interval."""
        value, low, high = (self._scaled(x) for x in (self.value, self.low, self.high))
        reach = high - value if self._scaled(bound) > value else value - low
        return reach / quantile(self.degrees)

    def p_below(self, bound: float) -> float:
        """One-sided p-value against "the true value is `bound` or more"; nan without an interval."""
        error, gap = self.error(bound), self._scaled(bound) - self._scaled(self.value)
        if error == 0:
            return 0.0 if gap > 0 else 1.0
        return _upper_tail(gap / error, self.degrees)

    def p_above(self, bound: float) -> float:
        """One-sided p-value against "the true value is `bound` or less"; nan without an interval."""
        error, gap = self.error(bound), self._scaled(self.value) - self._scaled(bound)
        if error == 0:
            return 0.0 if gap > 0 else 1.0
        return _upper_tail(gap / error, self.degrees)

    def _scaled(self, x: float) -> float:
        return _log(x) if self.is_log else x


def quantile(degrees: float, level: float = 0.5 + CONFIDENCE / 2) -> float:
    """Of Student's t, or of the normal law where `degrees` is infinite."""
    from scipy.special import ndtri, stdtrit  # the quantiles alone; scipy.stats takes a second to import

    return float(ndtri(level) if math.isinf(degrees) else stdtrit(degrees, level))


def difference(a: Estimate, b: Estimate) -> Estimate:
    """a - b."""
    common = [seed for seed in a.seeds if seed in b.seeds] if a.values and b.values else []
    if len(common) >= 2:
        return _by_seeds(a.of_seeds(common), b.of_seeds(common))
    if len(common) == 1 and (found := _by_halves(a.of_seeds(common), b.of_seeds(common))):
        return found
    value = a.value - b.value
    low = value - math.hypot(a.value - a.low, b.high - b.value)
    high = value + math.hypot(a.high - a.value, b.value - b.low)
    how = f"combined from the two intervals ({_seeds(a, b)})"
    return Estimate(value, low, high, how=how, degrees=min(a.degrees, b.degrees))


def ratio(a: Estimate, b: Estimate) -> Estimate:
    """a / b of positive quantities; an interval that reaches zero gives an unbounded ratio."""
    return exponential(difference(logarithm(a), logarithm(b)))


def over_teacher(student: Estimate, teacher: Estimate, teachers: Mapping[int, int]) -> Estimate:
    """student - teacher for students of given teachers; `teachers` is {seed of a student: seed of its teacher}.

    The estimand is the mean over distillations of these teachers, whose own training is not part of the question. Each teacher
    counts alike; the spread of students is pooled within teachers (so many degrees of freedom), and the teachers' sampling
    error, from halves, is added. With one student for each teacher there is no spread within, and `difference` pairs the seeds.
    """
    groups: dict[int, list[int]] = {}
    for i, seed in enumerate(student.seeds):
        groups.setdefault(teachers.get(seed, seed), []).append(i)
    known = all(seed in teacher.seeds for seed in groups) and len(student.values) == len(student.seeds)
    degrees = len(student.values) - len(groups)
    if not known or degrees < 1 or not teacher.halves:
        return difference(student, teacher)
    taught = teacher.of_seeds(list(groups))
    apart = [np.array([student.values[i] for i in members]) for members in groups.values()]
    pooled = sum(float(((x - x.mean()) ** 2).sum()) for x in apart) / degrees
    value = float(np.mean([x.mean() for x in apart])) - taught.value
    of_students = pooled * sum(1 / len(x) for x in apart) / len(apart) ** 2
    of_teachers = sum(_spread(h.values) ** 2 for h in taught.halves) / len(apart) ** 2
    # Welch and Satterthwaite: the halves tell the teachers' part with as many degrees of freedom as there are halves, less one
    of_halves = sum(len(h.values) - 1 for h in taught.halves)
    variance = of_students + of_teachers
    effective = variance**2 / (of_students**2 / degrees + of_teachers**2 / of_halves) if variance else degrees
    reach = quantile(effective) * math.sqrt(variance)
    each = [student.values[i] - teacher.of_seeds([t]).value for t, members in groups.items() for i in members]
    seeds = [student.seeds[i] for members in groups.values() for i in members]
    how = f"t over {len(seeds)} distillations of {_count(len(groups), 'given teacher')}, with the teacher's sampling error"
    return Estimate(
        value, value - reach, value + reach, tuple(each), tuple(seeds), how=how, degrees=effective
    )


def ratio_over_teacher(student: Estimate, teacher: Estimate, teachers: Mapping[int, int]) -> Estimate:
    """student / teacher, likewise; the value is a geometric mean."""
    return exponential(over_teacher(logarithm(student), logarithm(teacher), teachers))


def ratio_to_students(other: Estimate, student: Estimate, teachers: Mapping[int, int]) -> Estimate:
    """other / student, where `other` samples the students' teachers: the inverse of `ratio_over_teacher`."""
    return exponential(_opposite(over_teacher(logarithm(student), logarithm(other), teachers)))


def _opposite(x: Estimate) -> Estimate:
    """-x."""
    halves = tuple(Halves(h.id, tuple(-v for v in h.values)) for h in x.halves)
    values = tuple(-v for v in x.values)
    return replace(x, value=-x.value, low=-x.high, high=-x.low, values=values, halves=halves)


def logarithm(x: Estimate) -> Estimate:
    """The estimate of the logarithm of a positive quantity.

    A metric of few images can be biased, and halves are fewer: they are moved to the whole's value, so that only their spread
    counts.
    """
    halves = tuple(
        Halves(h.id, tuple(v + value - float(np.mean(h.values)) for v in h.values))
        for h, value in zip(x.halves, x.values, strict=False)
    )
    return replace(replace(x, halves=halves).mapped(_log), is_log=False)


def exponential(x: Estimate) -> Estimate:
    """Back again."""
    return replace(x.mapped(_exp), is_log=True)


def _by_seeds(a: Estimate, b: Estimate) -> Estimate:
    each = np.subtract(a.values, b.values)
    n = len(each)
    mean = float(each.mean())
    reach = quantile(n - 1) * float(each.std(ddof=1)) / math.sqrt(n)
    return Estimate(
        mean,
        mean - reach,
        mean + reach,
        tuple(each.tolist()),
        a.seeds,
        f"t over {n} seeds, paired",
        _halves_apart(a, b) or (),
        n - 1,
    )


def _by_halves(a: Estimate, b: Estimate) -> Estimate | None:
    """None where the two were not taken on the same halves."""
    halves = _halves_apart(a, b)
    return None if halves is None else from_halves(a.value - b.value, a.seeds[0], halves[0])


def from_halves(value: float, seed: int, halves: Halves) -> Estimate:
    """A quantity of one seed's images, with its interval from the same quantity of their halves."""
    degrees = len(halves.values) - 1
    reach = quantile(degrees) * _spread(halves.values)
    how = f"paired on {degrees + 1} random halves of the images (one seed: sampling noise only, not training again)"
    return Estimate(value, value - reach, value + reach, (value,), (seed,), how, (halves,), degrees)


def _halves_apart(a: Estimate, b: Estimate) -> tuple[Halves, ...] | None:
    if not a.halves or not b.halves or [h.id for h in a.halves] != [h.id for h in b.halves]:
        return None
    return tuple(
        Halves(x.id, tuple(u - v for u, v in zip(x.values, y.values, strict=True)))
        for x, y in zip(a.halves, b.halves, strict=True)
    )


def _spread(values: Sequence[float]) -> float:
    """nan where a value is not finite, as the logarithm of a distance that is not above zero."""
    return float(np.std(values, ddof=1)) if np.isfinite(values).all() else math.nan


def _upper_tail(x: float, degrees: float) -> float:
    from scipy.special import ndtr, stdtr

    return float(ndtr(-x) if math.isinf(degrees) else stdtr(degrees, -x))


def _seeds(a: Estimate, b: Estimate) -> str:
    if len(a.seeds) == len(b.seeds) == 1:
        return "one seed: sampling noise only, not training again"
    return "seeds not paired"


def _count(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"


def _log(x: float) -> float:
    return math.log(x) if x > 0 else (-math.inf if x <= 0 else math.nan)


def _exp(x: float) -> float:
    return math.inf if x > 700 else math.exp(x)
