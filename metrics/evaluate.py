"""Score one variant's samples with every judge: `evaluate` returns the rows of metrics/VARIANT.json."""

import warnings
from collections.abc import Sequence

import numpy as np

from metrics.distances import FrechetTarget
from metrics.errors import UserError
from metrics.extrapolation import frechet_curve
from metrics.features import FeatureJudge, Features
from metrics.judging import Judged, ScoringJudge, judge_images
from metrics.reference import Reference
from metrics.rows import Row, RowMaker
from metrics.samples import Samples
from metrics.set_metrics import Metric, distance_metrics, within_class_variance
from metrics.settings import EvaluationSettings


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
    rows = [row(*entry) for entry in distance_metrics(reference, target, settings, len(parts[0].images))]
    rows[0]["curve"] = frechet_curve(features[0].features, target, settings.points(dimension), settings.seed)
    if samples.labels is None:
        return rows
    real = reference.class_variances()
    real_mean = None if real is None else float(real.mean())
    rows.append(row("within_class_variance", None, within_class_variance, {"real": real_mean}))
    if feature_judge.knows_labels:
        right = [f.logits.argmax(1) == part.labels for f, part in zip(features, parts, strict=True)]
        rows.append(maker.of_images("class_accuracy", feature_judge, right, {}))
    for judge in scoring_judges:
        scores = judge.report_scale * judged.scores[judge.name]
        by_seed = [scores[samples.seed == seed] for seed in samples.seeds]
        protocol = {**judge.protocol, "role": judge.role}
        rows.append(maker.of_images(judge.metric, judge, by_seed, protocol))
    return rows


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
