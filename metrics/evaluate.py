"""Score one variant's samples with every judge: `evaluate` returns the rows of metrics/VARIANT.json."""

import warnings
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from metrics import set_metrics
from metrics.effort import halves_of
from metrics.errors import UserError
from metrics.features import Features
from metrics.judges.registry import record
from metrics.judging import Judged, Jury, Yardstick, judge_images
from metrics.memorisation import SPACES, memorisation, thumbnails
from metrics.rows import Named, Row, RowMaker
from metrics.samples import Samples
from metrics.set_metrics import ImageMetric, SetMetric, Subject
from metrics.settings import EvaluationSettings


def evaluate(
    samples: Samples, jury: Jury, settings: EvaluationSettings | None = None, judged: Judged | None = None
) -> list[Row]:
    """Rows {metric, title, value, ci_low, ci_high, n, seeds, values, halves, higher_is_better, judge, judge_sha256,
    protocol, interval}.

    Metrics are computed for each seed; the value is their mean. Where a seed has several sets of images, metrics of sets are
    computed for each and averaged: less sampling error at the same number of images. A metric that lacks what it needs
    (features of the reference, labels, enough images of each class) has no row. `judged`: what `judge_images` said of these
    samples, where it is there already. UserError where samples, judges and references do not fit together.
    """
    settings = settings or EvaluationSettings()
    for yardstick in jury.yardsticks:
        yardstick.reference.check_judge(yardstick.judge)
    check_sizes(samples, settings)
    judged = judged or judge_images(samples, jury, settings.batch)
    parts = [samples.of_seed(seed) for seed in samples.seeds]
    dimension = len(jury.yardsticks[0].reference.mu)
    maker = RowMaker(parts, settings.resamples, halves_of(settings, dimension), settings.seed)
    rows = [row for y in jury.yardsticks for row in _by_features(y, samples, judged, maker, settings)]
    if jury.neighbours is not None and samples.labels is not None:
        rows += _memorised(jury, samples, judged, maker, settings)
    return rows + list(_by_scorers(jury, samples, judged, maker))


def _by_features(
    yardstick: Yardstick, samples: Samples, judged: Judged, maker: RowMaker, settings: EvaluationSettings
) -> Iterator[Row]:
    judge, known = yardstick.judge, record(yardstick.judge.kind)
    whole = judged.features[judge.name]
    _check_dimension(samples, whole, yardstick, maker.size)

    def subject(part: Samples, features: Features, place: slice, halves: list[NDArray[np.int64]]) -> Subject:
        """One set of a seed's images and of their features."""
        labels = None if part.labels is None else part.labels[place]
        subsets = [np.arange(maker.size), *halves]
        return Subject(
            features.part(place), labels, judge.knows_labels, subsets, yardstick.reference, settings
        )

    subjects = []
    for part, of_sets in zip(maker.parts, maker.halves_of_sets, strict=True):
        features = whole.part(samples.seed == part.seed[0])
        subjects.append([subject(part, features, *one) for one in zip(maker.places, of_sets, strict=True)])
    first = subjects[0][0]
    for metric in set_metrics.METRICS:
        protocol = metric.protocol(first)
        if protocol is None or (known.measures is not None and metric.name not in known.measures):
            continue
        if judge.resize is not None:
            protocol = {**protocol, "resize": judge.resize}
        title = metric.title if known.measures is None else f"{metric.title}, {known.title}"
        named = Named(metric.name + known.suffix, title, metric.higher_is_better, judge, protocol)
        row = _measured(metric, subjects, named, maker)
        if metric.name == "frechet_distance":
            row["curve"] = first.curve(first.subsets[0])
        yield row


def _measured(
    metric: SetMetric | ImageMetric, subjects: list[list[Subject]], named: Named, maker: RowMaker
) -> Row:
    """`subjects`: of each seed, its sets."""
    if isinstance(metric, SetMetric):
        found = [[metric.values(subject) for subject in of_seed] for of_seed in subjects]
        return maker.of_set(named, [np.mean(of_sets, axis=0).tolist() for of_sets in found])
    return maker.of_images(
        named, [np.concatenate([metric.scores(subject) for subject in of_seed]) for of_seed in subjects]
    )


def _memorised(
    jury: Jury, samples: Samples, judged: Judged, maker: RowMaker, settings: EvaluationSettings
) -> Iterator[Row]:
    """Both metrics in every space."""
    assert jury.neighbours is not None
    judge = jury.yardsticks[0].judge
    vectors = {"features": judged.features[judge.name].features, "pixels": thumbnails(samples.images)}
    for space in SPACES:
        real = jury.neighbours[space]
        by_seed = [
            memorisation(vectors[space][samples.seed == part.seed[0]], real, space, settings.seed)
            for part in maker.parts
        ]
        protocol = {"training_images": len(real.train), "held_out_images": len(real.held_out)}
        for found in zip(*by_seed, strict=True):
            named = Named(found[0].name, found[0].title, None, judge, protocol)
            yield maker.of_means(named, [f.scores for f in found], found[0].interval, found[0].how)


def _by_scorers(jury: Jury, samples: Samples, judged: Judged, maker: RowMaker) -> Iterator[Row]:
    if samples.labels is None:
        return
    for judge in jury.scorers:
        scores = judge.report_scale * judged.scores[judge.name]
        role = "training reward" if judge.kind == jury.reward else "unseen judge"
        title = record(judge.kind).title
        named = Named(judge.metric, title, True, judge, {**judge.protocol, "role": role})
        yield maker.of_images(named, [scores[samples.seed == seed] for seed in samples.seeds])


def check_sizes(samples: Samples, settings: EvaluationSettings) -> None:
    """UserError where seeds have different numbers of images, or too few for the settings."""
    sizes = {int(count) for count in np.unique_counts(samples.seed).counts}
    if len(sizes) > 1:
        raise UserError(
            f"{samples.source}: seeds have {sorted(sizes)} images: scores of different n do not average"
        )
    n, splits = sizes.pop() // samples.sets, settings.distances.inception_splits
    if n < 2 * splits:
        of = "seed" if samples.sets == 1 else "set"
        raise UserError(
            f"{samples.source}: {n} images for each {of} are too few for inception_splits = {splits}: "
            f"sample at least {2 * splits} images or set fewer splits"
        )


def _check_dimension(samples: Samples, features: Features, yardstick: Yardstick, n: int) -> None:
    d, known = features.features.shape[1], yardstick.reference
    if d != len(known.mu):
        raise UserError(
            f"{known.source}: statistics of {len(known.mu)} features, but the judge gives {d}: "
            "use the judge that made the statistics"
        )
    if n <= d:
        warnings.warn(
            f"{samples.source}: {n} images for {d} features: their covariance is singular and the Frechet "
            "distance is far too high; sample more images",
            stacklevel=3,
        )
