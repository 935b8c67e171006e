"""Every embedded case passes, and each fails for the mistake that it is there for."""

import numpy as np
import pytest

from metrics import distances
from metrics.calibrate import embedded_cases


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

    def wrong(logits: np.ndarray, settings: distances.DistanceSettings) -> float:
        return right(logits, settings.model_copy(update={"inception_order": "shuffled-2020"}))

    monkeypatch.setattr(distances, "inception_score", wrong)
    assert failed() == {"Inception score, 10 splits in class order"}


def test_precision_and_recall_in_each_others_place_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    right = distances.precision_recall
    monkeypatch.setattr(distances, "precision_recall", lambda *arguments: right(*arguments)[::-1])
    assert failed() == {"precision, one mode of two", "recall, one mode of two"}
