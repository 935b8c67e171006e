"""Does this evaluation give the numbers that are known? Cases with a known answer, embedded and published.

The embedded cases need no file: Gaussians whose Frechet distance is a formula, class distributions whose
inception score is a count, sets whose precision, recall and kernel distance are plain. The published case
needs ADM's batch.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from metrics import distances
from metrics.distances import DistanceSettings
from metrics.features import FeatureJudge, extract
from metrics.reference import read_reference, statistics, with_features
from metrics.samples import read_samples

# ADM's evaluator on admnet_guided_upsampled_imagenet256.npz; another framework's Inception differs in the
# third digit
ADM_ANCHOR = {"inception_score": 215.84, "frechet_distance": 3.9426, "precision": 0.8265, "recall": 0.5309}
ADM_TOLERANCE = {"inception_score": 1.5, "frechet_distance": 0.05, "precision": 0.01, "recall": 0.01}


@dataclass(frozen=True)
class Case:
    """A quantity with a known value: passed where |got - expected| <= tolerance."""

    name: str
    expected: float
    got: float
    tolerance: float

    @property
    def passed(self) -> bool:
        return abs(self.got - self.expected) <= self.tolerance


def embedded_cases() -> list[Case]:
    """All cases that need no file, in about a second."""
    makers: list[Callable[[], list[Case]]] = [
        _gaussians,
        _drawn_gaussians,
        _inception_scores,
        _manifolds,
        _kernel,
    ]
    return [case for make in makers for case in make()]


def adm_cases(batch: str | Path, reference: str | Path, inception: FeatureJudge) -> list[Case]:
    """ADM's published batch against its published scores; precision and recall where the reference has
    images.
    """
    features = extract(inception, read_samples(batch))
    known = with_features(read_reference(reference), inception)
    settings = DistanceSettings(inception_order="as-given")
    got = {
        "inception_score": distances.inception_score(features.logits, settings),
        "frechet_distance": distances.frechet_to(features.features, known.mu, known.sigma),
    }
    if known.features is not None:
        got["precision"], got["recall"] = distances.precision_recall(
            features.features, known.features, settings
        )
    return [Case(f"ADM's batch, {m}", ADM_ANCHOR[m], value, ADM_TOLERANCE[m]) for m, value in got.items()]


def _gaussians() -> list[Case]:
    """Closed forms: commuting covariances give |m|^2 + sum (s_i - t_i)^2; a rotated pair is checked in 2-D."""
    d = 16
    rng = np.random.default_rng(0)
    shift, s, t = rng.normal(size=d), rng.uniform(0.5, 2, d), rng.uniform(0.5, 2, d)
    basis, _ = np.linalg.qr(rng.normal(size=(d, d)))
    first, second = basis @ np.diag(s**2) @ basis.T, basis @ np.diag(t**2) @ basis.T
    zero = np.zeros(d)
    # 2-D: Tr (A B)^(1/2) = sqrt(Tr(A B) + 2 sqrt(det A det B))
    a, b = np.array([[4.0, 0.0], [0.0, 1.0]]), np.array([[2.0, 1.0], [1.0, 3.0]])
    cross = np.sqrt(np.trace(a @ b) + 2 * np.sqrt(np.linalg.det(a) * np.linalg.det(b)))
    pairs = [
        ("equal Gaussians", 0.0, distances.frechet_distance(zero, first, zero, first)),
        ("shifted Gaussian", float(shift @ shift), distances.frechet_distance(zero, first, shift, first)),
        (
            "scaled Gaussian",
            float(((s - t) ** 2).sum()),
            distances.frechet_distance(zero, first, zero, second),
        ),
        (
            "rotated Gaussian",
            float(np.trace(a) + np.trace(b) - 2 * cross),
            distances.frechet_distance(np.zeros(2), a, np.zeros(2), b),
        ),
    ]
    return [Case(f"Frechet distance, {name}", expected, got, 1e-5) for name, expected, got in pairs]


def _drawn_gaussians() -> list[Case]:
    """20,000 draws in 8 dimensions, shifted by 1 in each: 8, up to the draws' own error."""
    rng = np.random.default_rng(1)
    features = rng.normal(size=(20_000, 8)) + 1
    got = distances.frechet_to(features, np.zeros(8), np.eye(8))
    mu, sigma = statistics(features)
    again = distances.frechet_distance(mu, sigma, np.zeros(8), np.eye(8))
    return [
        Case("Frechet distance, 20,000 draws", 8.0, got, 0.2),
        Case("Frechet distance, statistics first", got, again, 1e-9),
    ]


def _inception_scores() -> list[Case]:
    """Certain and balanced over K classes: K. Certain of one, or uniform: 1.

    In class order, splits see one class: 1.
    """
    k, each = 10, 100
    certain = np.repeat(60 * np.eye(k, dtype=np.float32), each, axis=0)  # ordered by class
    shuffled, given = DistanceSettings(inception_splits=1), DistanceSettings(inception_order="as-given")
    return [
        Case("Inception score, certain and balanced", k, distances.inception_score(certain, shuffled), 1e-6),
        Case("Inception score, uniform", 1, distances.inception_score(0 * certain, shuffled), 1e-6),
        Case("Inception score, 10 splits in class order", 1, distances.inception_score(certain, given), 1e-6),
    ]


def _manifolds() -> list[Case]:
    """A set against itself: 1 and 1. Far away: 0 and 0. One real mode of two: precision 1, recall 1/2."""
    settings = DistanceSettings()
    rng = np.random.default_rng(2)
    real = rng.normal(size=(200, 4))
    two = np.concatenate([real, real + 100])
    sets = [
        ("the same set", real, real, 1, 1),
        ("far sets", real + 100, real, 0, 0),
        ("one mode of two", real, two, 1, 0.5),
    ]
    cases = []
    for name, made, target, precision, recall in sets:
        got = distances.precision_recall(made, target, settings)
        cases += [
            Case(f"precision, {name}", precision, got[0], 1e-9),
            Case(f"recall, {name}", recall, got[1], 1e-9),
        ]
    return cases


def _kernel() -> list[Case]:
    """Point masses at 0 and 1 in one dimension: k(0,0) + k(1,1) - 2 k(0,1) = 1 + (1 + 1)^3 - 2 = 7."""
    zeros, ones = np.zeros((100, 1)), np.ones((100, 1))
    return [
        Case(
            "kernel distance, two points",
            7.0,
            distances.kernel_distance(ones, zeros, DistanceSettings()),
            1e-9,
        )
    ]
