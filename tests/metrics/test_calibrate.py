"""Every embedded case passes, and each fails for the mistake that it is there for."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from metrics import distances, extrapolation, kernel, manifold
from metrics.calibrate import embedded_cases
from metrics.settings import DistanceSettings


def failed() -> set[str]:
    return {case.name for case in embedded_cases() if not case.passed}


def test_all_pass() -> None:
    assert failed() == set()


def test_a_covariance_without_its_square_root_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(mu_1: np.ndarray, sigma_1: np.ndarray, mu_2: np.ndarray, sigma_2: np.ndarray) -> float:
        return float(((mu_1 - mu_2) ** 2).sum() + np.trace(sigma_1 + sigma_2 - 2 * sigma_1 @ sigma_2))

    monkeypatch.setattr(distances, "frechet_distance", wrong)
    assert {"Frechet distance, scaled Gaussian", "Frechet distance, rotated Gaussian"} <= failed()


def test_a_shuffle_where_order_is_asked_for_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    right = distances.inception_score

    def wrong(logits: np.ndarray, settings: DistanceSettings) -> float:
        return right(logits, settings.model_copy(update={"inception_order": "shuffled-2020"}))

    monkeypatch.setattr(distances, "inception_score", wrong)
    assert failed() == {"Inception score, 10 splits in class order"}


def test_precision_and_recall_in_each_others_place_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    right = manifold.manifold

    def wrong(*arguments: Any) -> manifold.Manifold:
        shares = right(*arguments)
        return replace(shares, precision=shares.recall, recall=shares.precision)

    monkeypatch.setattr(manifold, "manifold", wrong)
    assert failed() == {"precision, one mode of two", "recall, one mode of two"}


def test_subsets_that_forget_the_classes_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    right = extrapolation.frechet_curve
    monkeypatch.setattr(extrapolation, "frechet_curve", lambda f, labels, *others: right(f, None, *others))
    assert failed() == {"Frechet distance, n to infinity, balanced mixture"}


def test_a_kernel_distance_over_small_subsets_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric

    def wrong(features: np.ndarray, real: np.ndarray, *_: Any) -> list[float]:
        both = [torch.from_numpy(x.astype(np.float64)) for x in (features, real)]
        result = kid_features_to_metric(*both, kid_subsets=100, kid_subset_size=100, verbose=False)
        return [float(result[KEY_METRIC_KID_MEAN])]

    monkeypatch.setattr(kernel, "kernel_distances", wrong)
    assert failed() == {"kernel distance, balanced mixture"}
