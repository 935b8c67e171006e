"""Metrics of a whole set of images, as functions of any of its images: halves of them make the intervals."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from metrics import distances
from metrics.distances import FrechetTarget
from metrics.extrapolation import frechet_curve, frechet_infinity
from metrics.features import Features
from metrics.real import NO_CROP
from metrics.reference import Reference, class_variances
from metrics.rows import Row, Value
from metrics.settings import EvaluationSettings

Metric = Callable[[Features, NDArray[np.int64] | None], Value]  # (features, labels of one seed) -> Value


def distance_metrics(
    reference: Reference, target: FrechetTarget, settings: EvaluationSettings, n: int
) -> list[tuple[str, bool, Metric, Row]]:
    """(metric, higher is better, function, protocol) of what needs only features, logits and the reference."""
    taken, mu, sigma, real = settings.distances, reference.mu, reference.sigma, reference.features
    points = settings.points(len(mu))
    against: Row = {
        "reference": reference.sha256,
        "reference_images": reference.n,
        "crop": reference.crop or settings.crop or NO_CROP,
    }
    splits = {"splits": taken.inception_splits, "order": taken.inception_order}

    def infinity(f: Features, labels: NDArray[np.int64] | None) -> Value:
        return lambda index: frechet_infinity(frechet_curve(f.features[index], target, points, settings.seed))

    def frechet(f: Features, labels: NDArray[np.int64] | None) -> Value:
        def distance(index: NDArray[np.int64]) -> float:
            if len(index) < len(f.features):  # one of the halves that the interval is made of
                return target.distance(f.features[index])
            return distances.frechet_to(f.features[index], mu, sigma)

        return distance

    def inception(f: Features, labels: NDArray[np.int64] | None) -> Value:
        return lambda index: distances.inception_score(f.logits[index], taken)

    metrics: list[tuple[str, bool, Metric, Row]] = [
        ("frechet_distance", False, frechet, against),
        ("frechet_distance_infinity", False, infinity, {**against, "points": points}),
        ("inception_score", True, inception, splits),
    ]
    if real is None:
        return metrics
    size = min(taken.kernel_subset_size, n, len(real))
    subsets = {**against, "subsets": taken.kernel_subsets, "subset_size": size}
    neighbours = {**against, "k": taken.neighbours}
    shares: dict[tuple[int, bytes], tuple[float, float]] = {}

    def manifold(which: int) -> Metric:
        def share(features: NDArray[np.float32], index: NDArray[np.int64]) -> float:
            key = (id(features), index.tobytes())  # precision and recall come of one computation
            if key not in shares:
                shares[key] = distances.precision_recall(features[index], real, taken)
            return shares[key][which]

        return lambda f, _: lambda i: share(f.features, i)

    def kernel(f: Features, labels: NDArray[np.int64] | None) -> Value:
        return lambda index: distances.kernel_distance(f.features[index], real, taken)

    return [
        *metrics,
        ("kernel_distance", False, kernel, subsets),
        ("precision", True, manifold(0), neighbours),
        ("recall", True, manifold(1), neighbours),
    ]


def within_class_variance(features: Features, labels: NDArray[np.int64] | None) -> Value:
    """Mean over classes of the features' variance within the class."""
    assert labels is not None
    return lambda index: float(class_variances(features.features[index], labels[index]).mean())
