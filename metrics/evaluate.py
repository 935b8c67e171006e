"""Score one variant's samples with every judge: `evaluate` returns the rows of metrics/VARIANT.json."""

import warnings
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from metrics import distances
from metrics.distances import DistanceSettings, FrechetTarget
from metrics.errors import UserError
from metrics.extrapolation import frechet_curve, frechet_infinity
from metrics.features import FeatureJudge, Features
from metrics.judging import Judged, ScoringJudge, judge_images
from metrics.real import NO_CROP
from metrics.reference import Reference, class_variances
from metrics.rows import Row, RowMaker, Value
from metrics.samples import Samples

Metric = Callable[[Features, NDArray[np.int64] | None], Value]  # (features, labels of one seed) -> Value


LARGE = 1000  # features, from where one Frechet distance takes seconds: Inception has 2048


class EvaluationSettings(BaseModel):
    """How samples are scored; the parts that change a value are recorded in every protocol."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    distances: DistanceSettings = DistanceSettings()
    resamples: int = Field(
        default=1000, ge=100, le=100_000, description="bootstrap resamples for the interval of a mean"
    )
    half_samples: int | None = Field(
        default=None,
        ge=4,
        le=10_000,
        description="random halves for the interval of a set-level metric; null: 30, or 6 for a judge of LARGE dimension",
    )
    frechet_points: int | None = Field(
        default=None,
        ge=3,
        le=100,
        description="sample counts for the extrapolated Frechet distance; null: 8, or 5 for a judge of LARGE dimension",
    )
    seed: int = Field(default=0, ge=0, lt=2**31, description="of bootstrap and halves")
    batch: int = Field(default=256, ge=1, le=65_536)
    crop: str | None = Field(
        default=None,
        description="how the reference was cropped, where its file does not tell; recorded, not done here",
    )

    def halves(self, dimension: int) -> int:
        """half_samples for a judge of `dimension` features."""
        return self.half_samples or (30 if dimension < LARGE else 6)

    def points(self, dimension: int) -> int:
        """frechet_points for a judge of `dimension` features."""
        return self.frechet_points or (8 if dimension < LARGE else 5)


def evaluate(
    samples: Samples,
    feature_judge: FeatureJudge,
    scoring_judges: Sequence[ScoringJudge],
    reference: Reference,
    settings: EvaluationSettings | None = None,
    judged: Judged | None = None,
) -> list[Row]:
    """Rows {metric, value, ci_low, ci_high, n, seeds, values, higher_is_better, judge, judge_sha256,
    protocol, interval}.

    Metrics are computed for each seed; the value is their mean. Kernel distance, precision and recall need
    the reference's features, class accuracy and the prompts' scores need labels (accuracy also a judge that knows
    them); without them those rows are left out. `judged`: what `judge_images` said of these samples, where it is there already.
    """
    settings = settings or EvaluationSettings()
    reference.check_judge(feature_judge)
    parts = [samples.of_seed(seed) for seed in samples.seeds]
    check_sizes(samples, settings)
    if judged is None:
        judged = judge_images(samples, feature_judge, scoring_judges, settings.batch)
    features = [judged.features.part(samples.seed == seed) for seed in samples.seeds]
    dimension = _check_dimension(samples, features[0], reference)
    maker = RowMaker(parts, settings.resamples, settings.halves(dimension), settings.seed)

    def row(metric: str, better: bool | None, of: Metric, protocol: Row) -> Row:
        by_seed = [of(f, part.labels) for f, part in zip(features, parts, strict=True)]
        return maker.of_set(metric, better, feature_judge, by_seed, protocol)

    target = FrechetTarget(reference.mu, reference.sigma)
    rows = [row(*entry) for entry in _distance_metrics(reference, target, settings, len(parts[0].images))]
    rows[0]["curve"] = frechet_curve(features[0].features, target, settings.points(dimension), settings.seed)
    if samples.labels is None:
        return rows
    real = reference.class_variances()
    real_mean = None if real is None else float(real.mean())
    rows.append(row("within_class_variance", None, _variance, {"real": real_mean}))
    if feature_judge.knows_labels:
        right = [f.logits.argmax(1) == part.labels for f, part in zip(features, parts, strict=True)]
        rows.append(maker.of_images("class_accuracy", feature_judge, right, {}))
    for judge in scoring_judges:
        scores = judge.report_scale * judged.scores[judge.name]
        by_seed = [scores[samples.seed == seed] for seed in samples.seeds]
        protocol = {**judge.protocol, "role": judge.role}
        rows.append(maker.of_images(judge.metric, judge, by_seed, protocol))
    return rows


def _distance_metrics(
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


def _variance(features: Features, labels: NDArray[np.int64] | None) -> Value:
    assert labels is not None
    return lambda index: float(class_variances(features.features[index], labels[index]).mean())


def check_sizes(samples: Samples, settings: EvaluationSettings) -> None:
    """UserError where seeds have different numbers of images, or too few for the settings."""
    sizes = {int(count) for count in np.unique_counts(samples.seed).counts}
    if len(sizes) > 1:
        raise UserError(
            f"{samples.source}: seeds have {sorted(sizes)} images: scores of different n do not average"
        )
    n, splits = sizes.pop(), settings.distances.inception_splits
    if n < 2 * splits:
        raise UserError(
            f"{samples.source}: {n} images for each seed are too few for inception_splits = {splits}: "
            f"sample at least {2 * splits} images or set fewer splits"
        )


def _check_dimension(samples: Samples, features: Features, reference: Reference) -> int:
    """The judge's number of features."""
    n, d = features.features.shape
    if d != len(reference.mu):
        raise UserError(
            f"{reference.source}: statistics of {len(reference.mu)} features, but the judge gives {d}: "
            "use the judge that made the statistics"
        )
    if n <= d:
        warnings.warn(
            f"{samples.source}: {n} images for {d} features: their covariance is singular and the Frechet "
            "distance is far too high; sample more images",
            stacklevel=3,
        )
    return d
