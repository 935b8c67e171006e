"""How numbers, metrics and variants are written in sentences, tables and figures."""

from __future__ import annotations

import math

from reports.intervals import Estimate

ARROW = "→"
MISSING = "–"

METRICS = {
    "frechet_distance": "Fréchet distance",
    "inception_score": "Inception Score",
    "kernel_distance": "Kernel distance",
    "precision": "Precision",
    "recall": "Recall",
    "within_class_variance": "Within-class variance",
    "class_accuracy": "Class accuracy",
    "clip_score": "CLIP score",
    "image_reward": "ImageReward",
    "pick_score": "PickScore",
}


def metric_title(name: str) -> str:
    return METRICS.get(name, name.replace("_", " "))


def number(value: float | None, digits: int = 3) -> str:
    """`digits` significant digits, one more from 10 on (as the paper prints 29.78 and 247.7); a dash for what is unknown."""
    if value is None or math.isnan(value):
        return MISSING
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if value == 0:
        return "0"
    digits += abs(value) >= 10
    places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:,.{places}f}" if places <= 6 else f"{value:.{digits - 1}e}"


def interval(estimate: Estimate | None, digits: int = 3) -> str:
    """`0.913 [0.88, 0.95]`, rounded alike."""
    if estimate is None:
        return MISSING
    if not estimate.has_interval:
        return number(estimate.value, digits)
    return f"{number(estimate.value, digits)} [{bounds(estimate, digits)}]"


def bounds(estimate: Estimate, digits: int = 3) -> str:
    """`0.88, 0.95`."""
    return ", ".join(number(x, digits) for x in (estimate.low, estimate.high))


def seconds(value: float | None) -> str:
    """A duration with its unit."""
    if value is None or math.isnan(value):
        return MISSING
    if value < 1:
        return f"{number(value * 1000)} ms"
    if value < 120:
        return f"{number(value)} s"
    if value < 7200:
        return f"{number(value / 60)} min"
    return f"{number(value / 3600)} h" if value < 172800 else f"{number(value / 86400)} days"


def plural(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
