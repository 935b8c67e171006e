"""Where the scatter of a distance comes from: training the teacher, distilling it, fine-tuning, drawing images.

Nested variance components of log distance by the method of moments. With S students of each teacher, and the sampling variance e
of one student's images (from random halves):

    within   = mean over teachers of the variance of their students    = distillation + e
    between  = variance of the teachers' means                         = teacher + within / S
    tuned    = variance over seeds of log(tuned / untuned)             = fine-tuning + its own e

A component is what is left when the smaller ones are taken away, not below zero. The interval of a mean square with d degrees of
freedom is the chi-square one; a component's is made of it with the other mean squares held fixed, which is rough and said so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from reports.intervals import CONFIDENCE, Estimate, difference, logarithm


@dataclass(frozen=True)
class Component:
    """A standard deviation of log distance, with a 95% interval; nan ends where it cannot be had."""

    name: str
    sd: float
    low: float
    high: float
    degrees: int

    @property
    def estimate(self) -> Estimate:
        return Estimate(self.sd, self.low, self.high)


def components(student: Estimate, tuned: Estimate | None, teachers: Mapping[int, int]) -> list[Component]:
    """Of a student's distance over its seeds; empty where there are not two students of any teacher, or no halves."""
    logs = logarithm(student)
    groups: dict[int, list[float]] = {}
    for seed, value in zip(logs.seeds, logs.values, strict=True):
        groups.setdefault(teachers.get(seed, seed), []).append(value)
    degrees = len(logs.values) - len(groups)
    if degrees < 1 or not logs.halves:
        return []
    sampling = float(np.mean([np.var(h.values, ddof=1) for h in logs.halves]))
    within = sum(float(np.var(x)) * len(x) for x in groups.values()) / degrees
    found = [
        Component("drawing images", math.sqrt(sampling), math.nan, math.nan, 0),
        _component("distillation", within, sampling, degrees),
    ]
    if len(groups) > 1:
        size = len(logs.values) / len(groups)
        between = float(np.var([np.mean(x) for x in groups.values()], ddof=1))
        found.append(_component("training the teacher", between, within / size, len(groups) - 1))
    if tuned is not None:
        gain = difference(logarithm(tuned), logs)
        if len(gain.values) > 1 and gain.halves:
            of_images = float(np.mean([np.var(h.values, ddof=1) for h in gain.halves]))
            spread = float(np.var(gain.values, ddof=1))
            found.append(_component("reward fine-tuning", spread, of_images, len(gain.values) - 1))
    return found


def _component(name: str, square: float, below: float, degrees: int) -> Component:
    from scipy.special import chdtri

    tail = (1 - CONFIDENCE) / 2
    low, high = (degrees * square / float(chdtri(degrees, p)) for p in (tail, 1 - tail))
    sd, low, high = (math.sqrt(max(0.0, x - below)) for x in (square, low, high))
    return Component(name, sd, low, high, degrees)
