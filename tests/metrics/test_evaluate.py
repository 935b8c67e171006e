"""The rows of one variant: complete, per seed, and moved in the right direction by known damage."""

from dataclasses import replace

import numpy as np
import pytest

from metrics import UserError
from metrics.distances import DistanceSettings
from metrics.evaluate import evaluate
from metrics.judges import Cnn, Judge
from metrics.judging import judge_images
from metrics.reference import Reference
from metrics.samples import Samples
from metrics.settings import EvaluationSettings

QUICK = EvaluationSettings(half_samples=6, resamples=100, distances=DistanceSettings(kernel_subsets=10))
FIELDS = {"metric", "value", "ci_low", "ci_high", "n", "seeds", "values", "higher_is_better"}
FIELDS |= {"judge", "judge_sha256", "protocol", "interval"}
METRICS = {
    "frechet_distance",
    "frechet_distance_infinity",
    "inception_score",
    "kernel_distance",
    "precision",
    "recall",
}
METRICS |= {"within_class_variance", "class_accuracy", "clip_score"}


def by_metric(rows: list[dict]) -> dict[str, dict]:
    return {row["metric"]: row for row in rows}


def test_rows_are_complete(held_out: Samples, cnn: Cnn, clip: Judge, reference: Reference) -> None:
    rows = by_metric(evaluate(held_out, cnn, [clip], reference, QUICK))
    assert set(rows) == METRICS
    for row in rows.values():
        assert set(row) - {"curve"} == FIELDS
        assert row["ci_low"] <= row["value"] <= row["ci_high"]
        assert row["n"] == len(held_out.images)
    assert rows["frechet_distance"]["judge_sha256"] == cnn.sha256
    assert rows["clip_score"]["protocol"]["role"] == "unseen judge"
    assert rows["within_class_variance"]["higher_is_better"] is None


def test_real_images_score_as_real(held_out: Samples, cnn: Cnn, reference: Reference) -> None:
    rows = by_metric(evaluate(held_out, cnn, [], reference, QUICK))
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
    real, collapse = (by_metric(evaluate(s, cnn, [], reference, QUICK)) for s in (held_out, collapsed))
    assert collapse["frechet_distance"]["value"] > 2 * real["frechet_distance"]["value"]
    assert collapse["within_class_variance"]["value"] == pytest.approx(0, abs=1e-6)
    assert collapse["recall"]["value"] < 0.1 < real["recall"]["value"]
    assert by_metric(evaluate(wrong, cnn, [], reference, QUICK))["class_accuracy"]["value"] < 0.1


def test_seeds_are_scored_apart_and_averaged(
    held_out: Samples, cnn: Cnn, clip: Judge, reference: Reference
) -> None:
    assert held_out.labels is not None
    images, labels = held_out.images[:780], held_out.labels[:780]
    seed = np.repeat([0, 1, 2], 260)
    together = by_metric(evaluate(Samples(images, labels, seed), cnn, [clip], reference, QUICK))
    alone = Samples(images[:260], labels[:260], seed[:260])
    single = by_metric(evaluate(alone, cnn, [clip], reference, QUICK))
    for metric, row in together.items():
        assert row["seeds"] == [0, 1, 2]
        assert row["values"][0] == pytest.approx(single[metric]["value"], rel=1e-6)
        assert row["value"] == pytest.approx(np.mean(row["values"]))
        assert "t interval" in row["interval"]


def test_seeds_of_different_sizes_are_refused(held_out: Samples, cnn: Cnn, reference: Reference) -> None:
    seed = np.where(np.arange(len(held_out.images)) < 100, 0, 1)
    with pytest.raises(UserError, match="different n"):
        evaluate(Samples(held_out.images, held_out.labels, seed), cnn, [], reference, QUICK)


def test_reference_of_another_judge_is_refused(held_out: Samples, cnn: Cnn, reference: Reference) -> None:
    other = Reference(reference.mu, reference.sigma, judge_sha256="0" * 64)
    with pytest.raises(UserError, match="made by a judge with sha256 000000000000"):
        evaluate(held_out, cnn, [], other, QUICK)


def test_bare_mu_and_sigma_are_enough(held_out: Samples, cnn: Cnn, reference: Reference) -> None:
    rows = by_metric(evaluate(held_out, cnn, [], Reference(reference.mu, reference.sigma), QUICK))
    assert "frechet_distance" in rows
    assert "precision" not in rows


def test_parts_judged_apart_are_the_whole_to_the_bit(held_out: Samples, cnn: Cnn, clip: Judge) -> None:
    batch = 64
    whole = judge_images(held_out, cnn, [clip], batch)
    cuts = [slice(0, 3 * batch), slice(3 * batch, 4 * batch), slice(4 * batch, None)]
    parts = [judge_images(held_out.part(cut), cnn, [clip], batch) for cut in cuts]
    joined = [np.concatenate([part.scores[clip.name] for part in parts])]
    joined += [
        np.concatenate([getattr(part.features, of) for part in parts]) for of in ("features", "logits")
    ]
    said = (whole.scores[clip.name], whole.features.features, whole.features.logits)
    for got, one in zip(joined, said, strict=True):
        assert np.array_equal(got, one)


@pytest.mark.slow
def test_what_was_judged_before_is_not_judged_again(
    held_out: Samples, cnn: Cnn, clip: Judge, reference: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged = judge_images(held_out, cnn, [clip])
    rows = evaluate(held_out, cnn, [clip], reference, QUICK)
    monkeypatch.setattr(type(clip), "score_images", None)
    monkeypatch.setattr(Cnn, "features", None)
    assert evaluate(held_out, cnn, [clip], reference, QUICK, judged) == rows


def test_effort_follows_the_judges_dimension() -> None:
    settings = EvaluationSettings()
    assert (settings.halves(32), settings.points(32)) == (30, 8)
    assert (settings.halves(2048), settings.points(2048)) == (6, 5)
    assert QUICK.halves(32) == QUICK.halves(2048) == 6


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
        rows = by_metric(evaluate(held_out, cnn, [], known, settings))
        assert rows["frechet_distance"]["protocol"]["crop"] == crop


def test_accuracy_is_left_to_judges_that_know_the_labels(
    held_out: Samples, cnn: Cnn, reference: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Cnn, "knows_labels", False)
    rows = by_metric(evaluate(held_out, cnn, [], reference, QUICK))
    assert "class_accuracy" not in rows
    assert "within_class_variance" in rows
