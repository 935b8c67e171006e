"""The rows of one variant: complete, per seed, and moved in the right direction by known damage."""

from dataclasses import replace

import numpy as np
import pytest

from metrics import UserError
from metrics.effort import halves_of, points_of
from metrics.evaluate import evaluate
from metrics.intervals import half_samples
from metrics.judges.base import Judge
from metrics.judges.cnn import Cnn
from metrics.judging import Jury, Yardstick, judge_images
from metrics.memorisation import real_neighbours
from metrics.reference import Reference
from metrics.samples import Samples
from metrics.settings import EvaluationSettings

QUICK = EvaluationSettings(half_samples=6, resamples=100)
FIELDS = {"metric", "value", "ci_low", "ci_high", "n", "seeds", "values", "higher_is_better"}
FIELDS |= {"title", "halves", "judge", "judge_sha256", "protocol", "interval"}
METRICS = {
    "frechet_distance",
    "frechet_distance_infinity",
    "inception_score",
    "kernel_distance",
    "precision",
    "recall",
    "density",
    "coverage",
    "class_frechet_distance",
}
METRICS |= {"within_class_variance", "class_accuracy", "clip_score"}


def jury(cnn: Cnn, reference: Reference, scorers: list[Judge]) -> Jury:
    return Jury([Yardstick(cnn, reference)], scorers)


def by_metric(rows: list[dict]) -> dict[str, dict]:
    return {row["metric"]: row for row in rows}


def test_rows_are_complete(held_out: Samples, cnn: Cnn, clip: Judge, reference: Reference) -> None:
    rows = by_metric(evaluate(held_out, jury(cnn, reference, [clip]), QUICK))
    assert set(rows) == METRICS
    for row in rows.values():
        assert set(row) - {"curve"} == FIELDS
        assert row["ci_low"] <= row["value"] <= row["ci_high"]
        assert row["n"] == len(held_out.images)
    assert rows["frechet_distance"]["judge_sha256"] == cnn.sha256
    assert rows["clip_score"]["protocol"]["role"] == "unseen judge"
    assert rows["within_class_variance"]["higher_is_better"] is None


def test_real_images_score_as_real(held_out: Samples, cnn: Cnn, reference: Reference) -> None:
    rows = by_metric(evaluate(held_out, jury(cnn, reference, []), QUICK))
    assert rows["class_accuracy"]["value"] > 0.9
    assert rows["frechet_distance"]["value"] < 3
    assert rows["precision"]["value"] > 0.5
    real = rows["within_class_variance"]["protocol"]["real"]
    assert rows["within_class_variance"]["value"] == pytest.approx(real, rel=0.5)


@pytest.mark.slow
def test_collapse_and_wrong_classes_show(held_out: Samples, cnn: Cnn, reference: Reference) -> None:
    assert held_out.labels is not None
    first = np.array([np.flatnonzero(held_out.labels == label)[0] for label in held_out.labels])
    collapsed = Samples(held_out.images[first], held_out.labels, held_out.seed)
    wrong = Samples(held_out.images, (held_out.labels + 1) % 10, held_out.seed)
    real, collapse = (by_metric(evaluate(s, jury(cnn, reference, []), QUICK)) for s in (held_out, collapsed))
    assert collapse["frechet_distance"]["value"] > 2 * real["frechet_distance"]["value"]
    assert collapse["within_class_variance"]["value"] == pytest.approx(0, abs=1e-6)
    assert collapse["recall"]["value"] < 0.1 < real["recall"]["value"]
    assert by_metric(evaluate(wrong, jury(cnn, reference, []), QUICK))["class_accuracy"]["value"] < 0.1


def test_seeds_are_scored_apart_and_averaged(
    held_out: Samples, cnn: Cnn, clip: Judge, reference: Reference
) -> None:
    assert held_out.labels is not None
    images, labels = held_out.images[:780], held_out.labels[:780]
    seed = np.repeat([0, 1, 2], 260)
    together = by_metric(evaluate(Samples(images, labels, seed), jury(cnn, reference, [clip]), QUICK))
    alone = Samples(images[:260], labels[:260], seed[:260])
    single = by_metric(evaluate(alone, jury(cnn, reference, [clip]), QUICK))
    for metric, row in together.items():
        assert row["seeds"] == [0, 1, 2]
        assert row["values"][0] == pytest.approx(single[metric]["value"], rel=1e-6)
        assert row["value"] == pytest.approx(np.mean(row["values"]))
        assert "t interval" in row["interval"]


def test_sets_are_scored_apart_and_averaged(
    held_out: Samples, cnn: Cnn, clip: Judge, reference: Reference
) -> None:
    """A distance of 780 images would be another quantity, with less bias: three of 260 are averaged."""
    assert held_out.labels is not None
    images, labels, seed = held_out.images[:780], held_out.labels[:780], held_out.seed[:780]
    whole = Samples(images, labels, seed, sets=3)
    together = by_metric(evaluate(whole, jury(cnn, reference, [clip]), QUICK))
    alone = [
        by_metric(evaluate(Samples(images[of], labels[of], seed[of]), jury(cnn, reference, [clip]), QUICK))
        for of in (slice(0, 260), slice(260, 520), slice(520, 780))
    ]
    for metric, row in together.items():
        singles = [rows[metric] for rows in alone]
        assert row["value"] == pytest.approx(np.mean([single["value"] for single in singles]), rel=1e-5)
        assert (row["n"], row["protocol"]["images"], row["seeds"]) == (780, 260, [0])
    row, singles = together["frechet_distance"], [rows["frechet_distance"] for rows in alone]
    halves = row["halves"][0]["values"]
    assert halves == pytest.approx(np.mean([single["halves"][0]["values"] for single in singles], axis=0))
    assert row["ci_high"] - row["value"] == pytest.approx(1.96 * np.std(halves, ddof=1), rel=1e-3)
    assert "3 sets of 260" in row["interval"]
    assert row["halves"][0]["sha256"] not in {single["halves"][0]["sha256"] for single in singles}


def test_seeds_of_different_sizes_are_refused(held_out: Samples, cnn: Cnn, reference: Reference) -> None:
    seed = np.where(np.arange(len(held_out.images)) < 100, 0, 1)
    with pytest.raises(UserError, match="different n"):
        evaluate(Samples(held_out.images, held_out.labels, seed), jury(cnn, reference, []), QUICK)


def test_reference_of_another_judge_is_refused(held_out: Samples, cnn: Cnn, reference: Reference) -> None:
    other = Reference(reference.mu, reference.sigma, judge_sha256="0" * 64)
    with pytest.raises(UserError, match="made by a judge with sha256 000000000000"):
        evaluate(held_out, jury(cnn, other, []), QUICK)


def test_bare_mu_and_sigma_are_enough(held_out: Samples, cnn: Cnn, reference: Reference) -> None:
    rows = by_metric(evaluate(held_out, jury(cnn, Reference(reference.mu, reference.sigma), []), QUICK))
    assert "frechet_distance" in rows
    assert "precision" not in rows


def test_parts_judged_apart_are_the_whole_to_the_bit(
    held_out: Samples, cnn: Cnn, clip: Judge, reference: Reference
) -> None:
    batch, judges = 64, jury(cnn, reference, [clip])
    whole = judge_images(held_out, judges, batch)
    cuts = [slice(0, 3 * batch), slice(3 * batch, 4 * batch), slice(4 * batch, None)]
    parts = [judge_images(held_out.part(cut), judges, batch) for cut in cuts]
    joined = [np.concatenate([part.scores[clip.name] for part in parts])]
    joined += [
        np.concatenate([getattr(part.features[cnn.name], of) for part in parts])
        for of in ("features", "logits")
    ]
    said = (whole.scores[clip.name], whole.features[cnn.name].features, whole.features[cnn.name].logits)
    for got, one in zip(joined, said, strict=True):
        assert np.array_equal(got, one)


@pytest.mark.slow
def test_what_was_judged_before_is_not_judged_again(
    held_out: Samples, cnn: Cnn, clip: Judge, reference: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged = judge_images(held_out, jury(cnn, reference, [clip]))
    rows = evaluate(held_out, jury(cnn, reference, [clip]), QUICK)
    monkeypatch.setattr(type(clip), "score_images", None)
    monkeypatch.setattr(Cnn, "features", None)
    assert evaluate(held_out, jury(cnn, reference, [clip]), QUICK, judged) == rows


def test_effort_follows_the_judges_dimension() -> None:
    settings = EvaluationSettings()
    assert (halves_of(settings, 32), points_of(settings, 32)) == (30, 8)
    assert (halves_of(settings, 2048), points_of(settings, 2048)) == (6, 5)
    assert halves_of(QUICK, 32) == halves_of(QUICK, 2048) == 6


@pytest.mark.slow
def test_crop_of_the_reference_goes_into_the_protocol(
    held_out: Samples, cnn: Cnn, reference: Reference
) -> None:
    said = QUICK.model_copy(update={"crop": "as MAR does"})
    bare = Reference(reference.mu, reference.sigma)
    for known, settings, crop in [
        (replace(reference, crop="adm-32"), QUICK, "adm-32"),
        (replace(reference, crop="adm-32"), said, "adm-32"),  # the file knows better
        (bare, said, "as MAR does"),
        (bare, QUICK, "none"),
    ]:
        rows = by_metric(evaluate(held_out, jury(cnn, known, []), settings))
        assert rows["frechet_distance"]["protocol"]["crop"] == crop


def test_accuracy_is_left_to_judges_that_know_the_labels(
    held_out: Samples, cnn: Cnn, reference: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Cnn, "knows_labels", False)
    rows = by_metric(evaluate(held_out, jury(cnn, reference, []), QUICK))
    assert "class_accuracy" not in rows
    assert "within_class_variance" in rows


def test_halves_are_kept_and_give_the_intervals(
    held_out: Samples, cnn: Cnn, clip: Judge, reference: Reference
) -> None:
    from scipy.stats import norm

    judges = jury(cnn, reference, [clip])
    rows = by_metric(evaluate(held_out, judges, QUICK))
    other = Samples(held_out.images[::-1].copy(), held_out.labels, held_out.seed)
    again = by_metric(evaluate(other, judges, QUICK))
    for name, row in rows.items():
        (own,) = row["halves"]
        assert len(own["values"]) == 6
        assert own["sha256"] == again[name]["halves"][0]["sha256"]  # other images, same labels
    distance = rows["frechet_distance"]
    reach = norm.ppf(0.975) * np.std(distance["halves"][0]["values"], ddof=1)
    assert distance["ci_high"] - distance["value"] == pytest.approx(reach)
    halves = half_samples(held_out.labels, 6, QUICK.seed)
    scores = clip.score_images(held_out.images, held_out.labels)
    expected = [100 * scores[half].mean() for half in halves]
    assert rows["clip_score"]["halves"][0]["values"] == pytest.approx(expected, rel=1e-5)
    few = by_metric(evaluate(held_out.part(slice(0, 400)), judges, QUICK))
    assert few["recall"]["halves"][0]["sha256"] != rows["recall"]["halves"][0]["sha256"]


def test_class_distance_is_the_mean_over_classes_where_each_has_enough(
    held_out: Samples, cnn: Cnn, reference: Reference
) -> None:
    from metrics.distances import frechet_to
    from metrics.features import extract
    from metrics.moments import statistics

    judges = jury(cnn, reference, [])
    row = by_metric(evaluate(held_out, judges, QUICK))["class_frechet_distance"]
    features = extract(cnn, held_out).features
    each = [
        frechet_to(
            features[held_out.labels == label], *statistics(reference.features[reference.labels == label])
        )
        for label in range(10)
    ]
    assert row["value"] == pytest.approx(np.mean(each), rel=1e-5)
    counts = np.bincount(held_out.labels)
    few = np.concatenate([np.flatnonzero(held_out.labels == label)[:65] for label in range(10)])
    assert counts.min() >= 66  # of 32 features, so that halves of 33 have a full covariance
    assert "class_frechet_distance" not in by_metric(evaluate(held_out.part(few), judges, QUICK))


def test_a_second_feature_judge_has_rows_of_its_own(
    held_out: Samples, cnn: Cnn, reference: Reference
) -> None:
    class Second:
        name, kind, sha256, knows_labels = "efficientnet-lite0", "efficientnet", "e" * 64, False
        resize = "64 x 64, somehow"
        features = staticmethod(cnn.features)

        def head(self, features):
            return features[:, :0]

    second = Yardstick(Second(), replace(reference, judge_sha256="e" * 64))
    rows = by_metric(evaluate(held_out, Jury([Yardstick(cnn, reference), second]), QUICK))
    extra = {"frechet_distance_efficientnet", "class_frechet_distance_efficientnet"}
    assert set(rows) == METRICS - {"clip_score"} | extra
    row = rows["frechet_distance_efficientnet"]
    assert row["value"] == rows["frechet_distance"]["value"]
    assert (row["judge"], row["title"]) == ("efficientnet-lite0", "Fréchet distance, ImageNet features")
    assert row["protocol"] == {**rows["frechet_distance"]["protocol"], "resize": "64 x 64, somehow"}


def test_the_reward_is_named_as_such(held_out: Samples, cnn: Cnn, clip: Judge, reference: Reference) -> None:
    judges = replace(jury(cnn, reference, [clip]), reward="clip")
    assert by_metric(evaluate(held_out, judges, QUICK))["clip_score"]["protocol"]["role"] == "training reward"


def test_memorisation_has_rows_where_real_images_are_given(
    held_out: Samples, cnn: Cnn, reference: Reference
) -> None:
    train, new = held_out.part(slice(0, 300)), held_out.part(slice(300, 500))
    known = replace(jury(cnn, reference, []), neighbours=real_neighbours(cnn, train, train, new))
    copies = by_metric(evaluate(train, known, QUICK))
    fresh = by_metric(evaluate(held_out.part(slice(500, 797)), known, QUICK))
    for suffix in ("", "_pixels"):
        assert copies[f"farther_than_held_out{suffix}"]["value"] == pytest.approx(0, abs=0.01)
        assert copies[f"nearest_is_training{suffix}"]["value"] > 0.75
        row = fresh[f"nearest_is_training{suffix}"]
        assert row["ci_low"] < 0.6
        assert row["ci_high"] > 0.4
        assert row["protocol"]["held_out_images"] == 200
