"""Variance components against a known truth."""

from __future__ import annotations

import numpy as np
import pytest

from reports.intervals import Estimate, Halves
from reports.variance import components

TRUTH = {"training the teacher": 0.3, "distillation": 0.15, "drawing images": 0.05, "reward fine-tuning": 0.1}
TEACHERS, STUDENTS, HALVES = 40, 4, 30


def drawn(rng: np.random.Generator) -> tuple[Estimate, Estimate, dict[int, int]]:
    seeds = range(TEACHERS * STUDENTS)
    teacher = {seed: seed // STUDENTS * STUDENTS for seed in seeds}
    of_teacher = np.repeat(rng.normal(0, TRUTH["training the teacher"], TEACHERS), STUDENTS)
    students = of_teacher + rng.normal(0, TRUTH["distillation"], len(seeds))
    before = students + rng.normal(0, TRUTH["drawing images"], len(seeds))
    # the tuned model draws its images with the same noise, so that none of it is left in the difference
    after = before + rng.normal(0.2, TRUTH["reward fine-tuning"], len(seeds))
    halves = rng.normal(0, TRUTH["drawing images"], (len(seeds), HALVES))

    def estimate(logs: np.ndarray) -> Estimate:
        of = tuple(Halves("h", tuple(np.exp(x + h))) for x, h in zip(logs, halves, strict=True))
        values = tuple(np.exp(logs))
        return Estimate(float(np.mean(values)), 0, 9, values, tuple(seeds), halves=of)

    return estimate(before), estimate(after), teacher


def test_components_are_the_ones_that_the_data_were_made_with() -> None:
    found = {part.name: part for part in components(*drawn(np.random.default_rng(0)))}
    assert found.keys() == TRUTH.keys()
    for name, part in found.items():
        assert part.sd == pytest.approx(TRUTH[name], rel=0.25), name


def test_intervals_cover() -> None:
    hits = dict.fromkeys(TRUTH, 0)
    for i in range(60):
        for part in components(*drawn(np.random.default_rng(i))):
            hits[part.name] += part.low <= TRUTH[part.name] <= part.high
    assert all(hits[name] >= 52 for name in TRUTH if name != "drawing images"), hits


def test_one_student_of_each_teacher_tells_nothing() -> None:
    student, tuned, _ = drawn(np.random.default_rng(0))
    assert components(student, tuned, {seed: seed for seed in student.seeds}) == []
