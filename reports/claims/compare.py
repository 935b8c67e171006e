"""Parts that compare one metric of two variants, after checking that the two numbers may be compared at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from reports.claims.model import TWO_SIDED, Part, Verdict, below, power_of
from reports.formats import Metric
from reports.intervals import Estimate, ratio
from reports.results import Results
from reports.wording import ARROW, interval, limit, number

DISTANCE = "frechet_distance"
CLASS_DISTANCE = "class_frechet_distance"
DIVERSITY = "within_class_variance"
ACCURACY = "class_accuracy"
INCEPTION_SCORE = "inception_score"

Rule = Callable[[Estimate, float, float], Verdict]


@dataclass(frozen=True)
class Held:
    """An estimate held to a bound by a rule, `above` or `below`, at a one-sided level."""

    name: str
    rule: Rule
    bound: float
    level: float = TWO_SIDED
    control: bool = False

    def part(self, estimate: Estimate, sentence: str, files: tuple[Path, ...], trouble: str = "") -> Part:
        """`sentence` says what was measured; `trouble`, why it decides nothing."""
        upper = self.rule is below
        verdict = self.rule(estimate, self.bound, self.level)
        why = f"{sentence}, required {'below' if upper else 'above'} {limit(self.bound)}"
        if trouble:
            verdict, why = Verdict.INCONCLUSIVE, f"{why}; not decided because {trouble}"
        elif not estimate.has_interval:
            why += "; not decided because a value has no interval"
        decides = estimate.has_interval and not trouble
        p_above, p_below = estimate.p_above(self.bound), estimate.p_below(self.bound)
        return Part(
            self.name,
            verdict,
            why,
            estimate,
            self.bound,
            self.control,
            files,
            p_fails=(p_above if upper else p_below) if decides else None,
            p_holds=(p_below if upper else p_above) if decides else None,
            level=self.level,
            power=power_of(estimate, self.bound, self.level, upper) if estimate.has_interval else "",
            side=-1 if upper else 1,
        )

    def missing(self, why: str) -> Part:
        """The part that is not attempted."""
        return Part(self.name, Verdict.NOT_ATTEMPTED, why, None, self.bound, self.control, level=self.level)


@dataclass(frozen=True)
class Comparison:
    """Variant `a` against variant `b` in `metric`: `how` makes the estimate, `rule` holds it to `bound`."""

    name: str
    metric: str
    a: str
    b: str
    rule: Rule
    bound: float
    how: Callable[[Estimate, Estimate], Estimate] = ratio
    control: bool = False
    level: float = TWO_SIDED

    def part(self, results: Results) -> Part:
        """The verdict from the files; never raises for what is missing."""
        held = Held(self.name, self.rule, self.bound, self.level, self.control)
        rows = rows_of(results, self.metric, self.a, self.b)
        if isinstance(rows, str):
            return held.missing(rows)
        a, b = rows
        estimate = self.how(a.estimate, b.estimate)
        trouble = incomparable(a, b) or untrusted(results, self.metric)
        return held.part(estimate, self._sentence(a, b, estimate), (a.file, b.file), trouble)

    def _sentence(self, a: Metric, b: Metric, estimate: Estimate) -> str:
        kind = "ratio" if estimate.is_log else "difference"
        values = f"{number(b.estimate.value)} ({self.b}) {ARROW} {number(a.estimate.value)} ({self.a})"
        return f"{a.title} {values}, {kind} {interval(estimate)}"


def deciding_distance(results: Results, is_full: bool, *variants: str) -> str:
    """Which distance of the variants decides: at full scale FID, which is the paper's.

    On a proxy the mean of the per-class distances, where it was measured: between students of a teacher it scatters less.
    """
    by_class = all(results.metric(variant, CLASS_DISTANCE) for variant in variants)
    return CLASS_DISTANCE if by_class and not is_full else DISTANCE


def rows_of(results: Results, metric: str, *variants: str) -> list[Metric] | str:
    """A metric of several variants; or a sentence that says of which it was not measured."""
    found = {variant: results.metric(variant, metric) for variant in variants}
    if missing := [variant for variant, row in found.items() if row is None]:
        return f"{results.title(metric)} of {' and '.join(missing)} was not measured"
    return [row for row in found.values() if row]


def incomparable(*rows: Metric) -> str:
    """Why rows of one metric must not be compared; empty if they may."""
    a = rows[0]
    for b in rows[1:]:
        if (a.judge, a.judge_sha256) != (b.judge, b.judge_sha256):
            return f"{a.variant} and {b.variant} were scored by different judges"
        keys = sorted(k for k in {*a.protocol, *b.protocol} if a.protocol.get(k) != b.protocol.get(k))
        if keys:
            return f"the protocols of {a.variant} and {b.variant} differ in {', '.join(keys)}"
    return ""


def untrusted(results: Results, metric: str) -> str:
    """Why a Frechet distance counts for nothing: a failed calibration check of the measuring code itself."""
    failed = results.distance_untrusted if metric in (DISTANCE, CLASS_DISTANCE) else []
    return f"the calibration check {failed[0]} failed" if failed else ""
