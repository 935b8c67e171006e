"""Score one variant's samples with every judge: `evaluate` returns the rows of metrics/VARIANT.json."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from metrics import distances, intervals
from metrics.distances import DistanceSettings
from metrics.errors import UserError
from metrics.features import FeatureJudge, Features, extract
from metrics.reference import Reference, class_variances
from metrics.samples import Samples

Row = dict[str, Any]
Value = Callable[[NDArray[np.int64]], float]  # a metric of the images with these indices


class EvaluationSettings(BaseModel):
    """How samples are scored; the parts that change a value are recorded in every protocol."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    distances: DistanceSettings = DistanceSettings()
    resamples: int = Field(
        default=1000, ge=100, le=100_000, description="bootstrap resamples for the interval of a mean"
    )
    half_samples: int = Field(
        default=40, ge=4, le=10_000, description="random halves for the interval of a set-level metric"
    )
    seed: int = Field(default=0, ge=0, lt=2**31, description="of bootstrap and halves")
    batch: int = Field(default=256, ge=1, le=65_536)
    crop: str = Field(
        default="none", description="how the reference images were cropped; recorded, not done here"
    )


class ScoringJudge(Protocol):
    """Scores each image against its class's prompt."""

    metric: str  # clip_score, image_reward, pick_score
    role: str  # "unseen judge" or "training reward"

    @property
    def name(self) -> str: ...

    @property
    def sha256(self) -> str | None: ...

    @property
    def protocol(self) -> dict[str, Any]:
        """What the score depends on besides the weights: template, hash of the class list."""

    def score_images(
        self, images: NDArray[np.uint8], labels: NDArray[np.int64], batch: int
    ) -> NDArray[np.float32]:
        """(N,) from (N, H, W, 3) and (N,): the metric's value of each image."""


def evaluate(
    samples: Samples,
    feature_judge: FeatureJudge,
    scoring_judges: Sequence[ScoringJudge],
    reference: Reference,
    settings: EvaluationSettings = EvaluationSettings(),  # noqa: B008 (frozen)
) -> list[Row]:
    """Rows {metric, value, ci_low, ci_high, n, seeds, values, higher_is_better, judge, judge_sha256,
    protocol, interval}.

    Metrics are computed for each seed; the value is their mean. Kernel distance, precision and recall need
    the reference's features, class accuracy and the prompts' scores need labels; without them those rows are
    left out.
    """
    reference.check_judge(feature_judge)
    parts = [samples.of_seed(seed) for seed in samples.seeds]
    sizes = {len(part.images) for part in parts}
    if len(sizes) > 1:
        raise UserError(
            f"{samples.source}: seeds have {sorted(sizes)} images: scores of different n do not average"
        )
    extracted = [extract(feature_judge, part.images, settings.batch) for part in parts]
    rows = _feature_rows(parts, extracted, feature_judge, reference, settings)
    if samples.labels is not None:
        for judge in scoring_judges:
            rows.append(_score_row(parts, judge, settings))
    return rows


def _feature_rows(
    parts: list[Samples],
    extracted: list[Features],
    judge: FeatureJudge,
    reference: Reference,
    settings: EvaluationSettings,
) -> list[Row]:
    taken = settings.distances
    against = {"reference": reference.sha256, "reference_images": reference.n, "crop": settings.crop}

    def row(
        metric: str, better: bool | None, of: Callable[[Features, Samples], Value], extra: dict[str, Any]
    ) -> Row:
        values = [of(f, part) for f, part in zip(extracted, parts, strict=True)]
        return _row(metric, better, values, parts, judge, extra, settings)

    def frechet(f: Features, part: Samples) -> Value:
        return lambda index: distances.frechet_to(f.features[index], reference.mu, reference.sigma)

    def inception(f: Features, part: Samples) -> Value:
        return lambda index: distances.inception_score(f.logits[index], taken)

    splits = {"splits": taken.inception_splits, "order": taken.inception_order}
    rows = [
        row("frechet_distance", False, frechet, against),
        row("inception_score", True, inception, splits),
    ]
    real = reference.features
    if real is not None:

        def kernel(f: Features, part: Samples) -> Value:
            return lambda index: distances.kernel_distance(f.features[index], real, taken)

        def manifold(which: int) -> Callable[[Features, Samples], Value]:
            return lambda f, part: (
                lambda index: distances.precision_recall(f.features[index], real, taken)[which]
            )

        subsets = {"subsets": taken.kernel_subsets, "subset_size": taken.kernel_subset_size}
        rows.append(row("kernel_distance", False, kernel, {**against, **subsets}))
        rows.append(row("precision", True, manifold(0), {**against, "k": taken.neighbours}))
        rows.append(row("recall", True, manifold(1), {**against, "k": taken.neighbours}))
    if all(part.labels is not None for part in parts):

        def variance(f: Features, part: Samples) -> Value:
            return lambda index: float(class_variances(f.features[index], _labels(part)[index]).mean())

        real_variances = reference.class_variances()
        real_mean = None if real_variances is None else float(real_variances.mean())
        rows.append(row("within_class_variance", None, variance, {"real": real_mean}))
        rows.append(_accuracy_row(parts, extracted, judge, settings))
    return rows


def _accuracy_row(
    parts: list[Samples], extracted: list[Features], judge: FeatureJudge, settings: EvaluationSettings
) -> Row:
    right = [
        (f.logits.argmax(1) == part.labels).astype(np.float64)
        for f, part in zip(extracted, parts, strict=True)
    ]
    if len(parts) > 1:
        low, high, how = _over_seeds([float(hits.mean()) for hits in right])
    else:
        low, high = intervals.wilson_interval(int(right[0].sum()), len(right[0]))
        how = "95% Wilson interval over images"
    return _describe(
        "class_accuracy", True, [float(hits.mean()) for hits in right], low, high, how, parts, judge, {}
    )


def _score_row(parts: list[Samples], judge: ScoringJudge, settings: EvaluationSettings) -> Row:
    scores = [
        judge.score_images(part.images, _labels(part), settings.batch).astype(np.float64) for part in parts
    ]
    values = [float(score.mean()) for score in scores]
    if len(parts) > 1:
        low, high, how = _over_seeds(values)
    else:
        low, high = intervals.mean_interval(scores[0], _labels(parts[0]), settings.resamples, settings.seed)
        how = f"95% percentile bootstrap of the mean, {settings.resamples} resamples within each class"
    extra = {**judge.protocol, "role": judge.role}
    return _describe(judge.metric, True, values, low, high, how, parts, judge, extra)


def _row(
    metric: str,
    better: bool | None,
    of_seed: list[Value],
    parts: list[Samples],
    judge: FeatureJudge,
    extra: dict[str, Any],
    settings: EvaluationSettings,
) -> Row:
    n = len(parts[0].images)
    values = [of(np.arange(n)) for of in of_seed]
    if len(parts) > 1:
        low, high, how = _over_seeds(values)
    else:
        labels = np.zeros(n, np.int64) if parts[0].labels is None else parts[0].labels
        halves = intervals.half_samples(labels, settings.half_samples, settings.seed)
        low, high = intervals.half_sample_interval(values[0], of_seed[0], halves)
        how = f"95% normal interval, standard error from {settings.half_samples} random halves of each class"
    return _describe(metric, better, values, low, high, how, parts, judge, extra)


def _over_seeds(values: list[float]) -> tuple[float, float, str]:
    low, high = intervals.seeds_interval(values)
    return low, high, f"95% t interval over {len(values)} independently trained models"


def _describe(
    metric: str,
    better: bool | None,
    values: list[float],
    low: float,
    high: float,
    how: str,
    parts: list[Samples],
    judge: FeatureJudge | ScoringJudge,
    extra: dict[str, Any],
) -> Row:
    n = len(parts[0].images)
    protocol: dict[str, Any] = {"images": n, "image_size": int(parts[0].images.shape[1]), **extra}
    counts = None if parts[0].labels is None else np.unique_counts(parts[0].labels).counts
    if counts is not None:
        # the held-out real images are not exactly balanced: then the range is recorded
        protocol["images_per_class"] = (
            int(counts[0]) if counts.min() == counts.max() else [int(counts.min()), int(counts.max())]
        )
    return {
        "metric": metric,
        "value": float(np.mean(values)),
        "ci_low": low,
        "ci_high": high,
        "n": n * len(parts),
        "seeds": [int(part.seed[0]) for part in parts],
        "values": values,
        "higher_is_better": better,
        "judge": judge.name,
        "judge_sha256": judge.sha256,
        "protocol": protocol,
        "interval": how,
    }


def _labels(part: Samples) -> NDArray[np.int64]:
    assert part.labels is not None
    return part.labels
