"""The metrics of images under a feature judge. A new one is a record in METRICS, with its function; nothing else names them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metrics import distances
from metrics.effort import points_of
from metrics.extrapolation import frechet_curve, frechet_infinity
from metrics.features import Features
from metrics.kernel import kernel_distances
from metrics.manifold import Manifold, manifold
from metrics.moments import class_variances
from metrics.real import NO_CROP
from metrics.reference import Reference
from metrics.settings import EvaluationSettings

Row = dict[str, Any]
Index = NDArray[np.int64]


@dataclass(frozen=True)
class Subject:
    """What metrics are taken of: one seed's images as a judge sees them, and what they are compared with.

    features: of all N images; labels: (N,) or None; knows_labels: whether the
    judge's classes are theirs; subsets: indices of the images that a value is wanted of: first all of them,
    then the random halves that intervals are made from. What several metrics need is a property here, computed once.
    """

    features: Features
    labels: NDArray[np.int64] | None
    knows_labels: bool
    subsets: list[Index]
    reference: Reference
    settings: EvaluationSettings

    @property
    def dimension(self) -> int:
        """Number of features."""
        return self.features.features.shape[1]

    @cached_property
    def manifold(self) -> Manifold:
        """Precision, recall, density and coverage of each subset; only where the reference has features."""
        real, k = self.reference.features, self.settings.distances.neighbours
        assert real is not None
        return manifold(self.features.features, real, self.reference.radii(k), k, self.subsets)

    def curve(self, index: Index) -> list[tuple[int, float]]:
        """Frechet distance against the number of images."""
        labels = None if self.labels is None else self.labels[index]
        points = points_of(self.settings, self.dimension)
        return frechet_curve(
            self.features.features[index], labels, self.reference.target, points, self.settings.seed
        )


@dataclass(frozen=True)
class SetMetric:
    """A metric of a set of images.

    values: one for each of the subject's subsets. protocol: what the value depends on besides the images and the judge; None
    where the metric cannot be taken of this subject, whose rows then lack it.
    """

    name: str
    title: str
    higher_is_better: bool | None
    values: Callable[[Subject], list[float]]
    protocol: Callable[[Subject], Row | None]


@dataclass(frozen=True)
class ImageMetric:
    """A mean over images: `scores` is one for each of them, bool for a share. The rest as in SetMetric."""

    name: str
    title: str
    higher_is_better: bool | None
    scores: Callable[[Subject], NDArray]
    protocol: Callable[[Subject], Row | None]


def each(value: Callable[[Subject, Index], float]) -> Callable[[Subject], list[float]]:
    """`values` of a metric that takes its subsets one by one."""
    return lambda subject: [value(subject, index) for index in subject.subsets]


def against(subject: Subject, **more: Any) -> Row:
    """The protocol of whatever is compared with the reference."""
    known = subject.reference
    crop = known.crop or subject.settings.crop or NO_CROP
    return {"reference": known.sha256, "reference_images": known.n, "crop": crop, **more}


def with_neighbours(subject: Subject) -> Row | None:
    """Of precision and its like: the reference's features, and more images in every half than neighbours."""
    k = subject.settings.distances.neighbours
    if subject.reference.features is None or min(map(len, subject.subsets)) <= k:
        return None
    return against(subject, k=k)


def frechet(subject: Subject, index: Index) -> float:
    """Of all images torch-fidelity's own value; of halves the faster computation, equal to rounding."""
    features, known = subject.features.features, subject.reference
    if len(index) < len(features):
        return known.target.distance(features[index])
    return distances.frechet_to(features, known.mu, known.sigma)


def class_frechet(subject: Subject, index: Index) -> float:
    """Mean over classes of the Frechet distance between the class's samples and its real images."""
    assert subject.labels is not None
    features, labels = subject.features.features[index], subject.labels[index]
    targets = subject.reference.class_targets
    return float(np.mean([target.distance(features[labels == label]) for label, target in targets.items()]))


def enough_of_each_class(subject: Subject) -> Row | None:
    """Twice as many samples of every class as there are features, and as many real images as features, and one more each.

    Then the covariance of a class has full rank in every half too. Below that, its missing directions count as distance, and
    the value is mostly the number of images. What bias is left falls as 1 / n: compare equal n.
    """
    if subject.labels is None or set(subject.reference.class_targets) != set(subject.labels.tolist()):
        return None
    fewest, d = int(np.unique_counts(subject.labels).counts.min()), subject.dimension
    real = min(subject.reference.class_sizes.values())
    return against(subject, reference_images_per_class=real) if fewest > 2 * d + 1 and real > d else None


def kernel(subject: Subject) -> list[float]:
    """Of all subsets in one pass."""
    known = subject.reference
    assert known.features is not None
    return kernel_distances(subject.features.features, known.features, known.kernel_mean, subject.subsets)


def kernel_protocol(subject: Subject) -> Row | None:
    """It needs the reference's features."""
    if subject.reference.features is None:
        return None
    return against(subject, estimator="unbiased, all pairs", kernel="(x.y / d + 1)^3")


def within_class(subject: Subject, index: Index) -> float:
    """Mean over classes of the features' variance within the class."""
    assert subject.labels is not None
    return float(class_variances(subject.features.features[index], subject.labels[index]).mean())


def within_class_protocol(subject: Subject) -> Row | None:
    """It needs labels; the real images' value stands beside it."""
    real = subject.reference.class_variances()
    return None if subject.labels is None else {"real": None if real is None else float(real.mean())}


def inception_protocol(subject: Subject) -> Row | None:
    """It needs a classifier."""
    taken = subject.settings.distances
    if not subject.features.logits.shape[1]:
        return None
    return {"splits": taken.inception_splits, "order": taken.inception_order}


def accuracy(subject: Subject) -> NDArray[np.bool_]:
    """Whether the judge takes an image for the asked class."""
    return subject.features.logits.argmax(1) == subject.labels


METRICS: tuple[SetMetric | ImageMetric, ...] = (
    SetMetric("frechet_distance", "Fréchet distance", False, each(frechet), against),
    SetMetric(
        "frechet_distance_infinity",
        "Fréchet distance, n → ∞",
        False,
        each(lambda s, index: frechet_infinity(s.curve(index))),
        lambda s: against(s, points=points_of(s.settings, s.dimension)),
    ),
    SetMetric(
        "class_frechet_distance",
        "Per-class Fréchet distance",
        False,
        each(class_frechet),
        enough_of_each_class,
    ),
    SetMetric(
        "inception_score",
        "Inception Score",
        True,
        each(lambda s, index: distances.inception_score(s.features.logits[index], s.settings.distances)),
        inception_protocol,
    ),
    SetMetric("kernel_distance", "Kernel distance", False, kernel, kernel_protocol),
    SetMetric("precision", "Precision", True, lambda s: s.manifold.precision.tolist(), with_neighbours),
    SetMetric("recall", "Recall", True, lambda s: s.manifold.recall.tolist(), with_neighbours),
    SetMetric("density", "Density", True, lambda s: s.manifold.density.tolist(), with_neighbours),
    SetMetric("coverage", "Coverage", True, lambda s: s.manifold.coverage.tolist(), with_neighbours),
    SetMetric(
        "within_class_variance", "Within-class variance", None, each(within_class), within_class_protocol
    ),
    ImageMetric(
        "class_accuracy",
        "Class accuracy",
        True,
        accuracy,
        lambda s: {} if s.labels is not None and s.knows_labels else None,
    ),
)
