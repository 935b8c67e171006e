"""Does this evaluation give the numbers that are known? Cases with a known answer, embedded and published.

The embedded cases need no file: Gaussians whose Frechet distance is a formula, class distributions whose
inception score is a count, sets whose precision, recall and kernel distance are plain, class mixtures
in equal numbers. The published case
needs ADM's batch.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from metrics import distances, extrapolation, kernel, manifold
from metrics.distances import FrechetTarget
from metrics.features import FeatureJudge, extract
from metrics.reference import read_reference, statistics, with_features
from metrics.samples import read_samples
from metrics.settings import DistanceSettings

# ADM's evaluator on admnet_guided_upsampled_imagenet256.npz; another framework's Inception differs in the
# third digit
ADM_ANCHOR = {"inception_score": 215.84, "frechet_distance": 3.9426, "precision": 0.8265, "recall": 0.5309}
ADM_TOLERANCE = {"inception_score": 1.5, "frechet_distance": 0.05, "precision": 0.01, "recall": 0.01}

NEIGHBOURS = 3


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
        _extrapolated,
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
        shares = _manifold(features.features, known.features)
        got |= {"precision": float(shares.precision[0]), "recall": float(shares.recall[0])}
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
    """A set against itself, far away, and one real mode of two.

    Each image of a set is inside its own ball and each ball holds its k nearest besides: a density of (k + 1) / k.
    """
    rng = np.random.default_rng(2)
    real = rng.normal(size=(200, 4))
    two = np.concatenate([real, real + 100])
    crowded = (NEIGHBOURS + 1) / NEIGHBOURS
    sets: list[tuple[str, np.ndarray, np.ndarray, dict[str, float]]] = [
        ("the same set", real, real, {"precision": 1, "recall": 1, "density": crowded, "coverage": 1}),
        ("far sets", real + 100, real, {"precision": 0, "recall": 0, "density": 0, "coverage": 0}),
        ("one mode of two", real, two, {"precision": 1, "recall": 0.5, "density": crowded, "coverage": 0.5}),
    ]
    cases = []
    for name, made, target, expected in sets:
        shares = _manifold(made, target)
        cases += [
            Case(f"{metric}, {name}", value, float(getattr(shares, metric)[0]), 1e-9)
            for metric, value in expected.items()
        ]
    return cases


def _manifold(made: np.ndarray, real: np.ndarray) -> manifold.Manifold:
    radii = manifold.radii(real, NEIGHBOURS)
    return manifold.manifold(made, real, radii, NEIGHBOURS, [np.arange(len(made))])


def _kernel() -> list[Case]:
    """Point masses at 0 and 1 in one dimension: k(0,0) = 1, k(1,1) = 8, k(0,1) = 1."""
    zeros, ones = np.zeros((100, 1)), np.ones((100, 1))
    n, mixture = 1000, np.arange(1000).reshape(-1, 1) % 2
    # the same mixture twice: all pairs of different images, with n/2 (n/2 - 1) ordered pairs inside each class
    own = (n / 2 * (n / 2 - 1) * (1 + 8) + n * n / 2 * 1) / (n * (n - 1))
    across = (1 + 8 + 2 * 1) / 4
    return [
        Case("kernel distance, two points", 7.0, _kernel_distance(ones, zeros), 1e-9),
        Case(
            "kernel distance, balanced mixture",
            2 * own - 2 * across,
            _kernel_distance(mixture, mixture),
            1e-9,
        ),
    ]


def _kernel_distance(made: np.ndarray, real: np.ndarray) -> float:
    return kernel.kernel_distances(made, real, kernel.own_mean(real), [np.arange(len(made))])[0]


def _extrapolated() -> list[Case]:
    """Ten classes of one point each, in equal numbers: every balanced subset has the whole's moments, and the limit is 0."""
    centres = 10 * np.random.default_rng(3).normal(size=(10, 8))
    labels = np.arange(1000) % 10
    made, covariance = centres[labels], np.cov(centres.T, ddof=0)
    target = FrechetTarget(centres.mean(0), covariance)
    curve = extrapolation.frechet_curve(made, labels, target, 8, 0)
    return [
        Case(
            "Frechet distance, n to infinity, balanced mixture",
            0.0,
            extrapolation.frechet_infinity(curve),
            0.05,
        )
    ]
