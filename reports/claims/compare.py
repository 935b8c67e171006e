"""Parts that compare one metric of two variants, after checking that the two numbers may be compared at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from reports.claims.model import Part, Verdict, below
from reports.formats import Metric
from reports.intervals import Estimate, ratio
from reports.results import Results
from reports.wording import ARROW, interval, limit, number

DISTANCE = "frechet_distance"
DIVERSITY = "within_class_variance"
ACCURACY = "class_accuracy"
INCEPTION_SCORE = "inception_score"

Rule = Callable[[Estimate, float], Verdict]


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

    def part(self, results: Results) -> Part:
        """The verdict from the files; never raises for what is missing."""
        a, b = results.metric(self.a, self.metric), results.metric(self.b, self.metric)
        if a is None or b is None:
            return self._missing(results, [v for v, m in ((self.a, a), (self.b, b)) if m is None])
        estimate = self.how(a.estimate, b.estimate)
        verdict, caveat = self.rule(estimate, self.bound), ""
        trouble = incomparable(a, b) or untrusted(results, self.metric)
        if trouble:
            verdict, caveat = Verdict.INCONCLUSIVE, f"; not decided because {trouble}"
        elif not estimate.has_interval:
            caveat = "; not decided because a value has no interval"
        return Part(
            self.name,
            verdict,
            self._sentence(a, b, estimate) + caveat,
            estimate,
            self.bound,
            self.control,
            (a.file, b.file),
        )

    def _missing(self, results: Results, variants: list[str]) -> Part:
        why = f"{results.title(self.metric)} of {' and '.join(variants)} was not measured"
        return Part(self.name, Verdict.NOT_ATTEMPTED, why, None, self.bound, self.control)

    def _sentence(self, a: Metric, b: Metric, estimate: Estimate) -> str:
        kind = "ratio" if self.how is ratio else "difference"
        side = "below" if self.rule is below else "above"
        values = f"{number(b.estimate.value)} ({self.b}) {ARROW} {number(a.estimate.value)} ({self.a})"
        return f"{a.title} {values}, {kind} {interval(estimate)}, required {side} {limit(self.bound)}"


def incomparable(a: Metric, b: Metric) -> str:
    """Why two rows of one metric must not be compared; empty if they may."""
    if (a.judge, a.judge_sha256) != (b.judge, b.judge_sha256):
        return f"{a.variant} and {b.variant} were scored by different judges"
    keys = sorted(k for k in {*a.protocol, *b.protocol} if a.protocol.get(k) != b.protocol.get(k))
    return f"the protocols of {a.variant} and {b.variant} differ in {', '.join(keys)}" if keys else ""


def untrusted(results: Results, metric: str) -> str:
    """Why a Frechet distance counts for nothing: a failed calibration check of the measuring code itself."""
    failed = results.distance_untrusted if metric == DISTANCE else []
    return f"the calibration check {failed[0]} failed" if failed else ""
