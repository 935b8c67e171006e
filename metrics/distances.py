"""Frechet distance and inception score, from features (N, D) and logits (N, K). Reported values are torch-fidelity's own."""

import numpy as np
from numpy.typing import NDArray

from metrics.moments import statistics
from metrics.settings import DistanceSettings


def frechet_distance(
    mu_1: NDArray[np.float64],
    sigma_1: NDArray[np.float64],
    mu_2: NDArray[np.float64],
    sigma_2: NDArray[np.float64],
) -> float:
    """|mu_1 - mu_2|^2 + Tr(sigma_1 + sigma_2 - 2 (sigma_1 sigma_2)^(1/2)), squared, as FID is reported."""
    from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_statistics_to_metric

    first, second = {"mu": mu_1, "sigma": sigma_1}, {"mu": mu_2, "sigma": sigma_2}
    return float(fid_statistics_to_metric(first, second, verbose=False)[KEY_METRIC_FID])


def frechet_to(features: NDArray, mu: NDArray[np.float64], sigma: NDArray[np.float64]) -> float:
    """Frechet distance of features to given statistics."""
    return frechet_distance(*statistics(features), mu, sigma)


class FrechetTarget:
    """Given statistics, to which many distances are taken: of halves, of ever fewer samples, of every step of a training.

    The trace of (sigma_1 sigma_2)^(1/2) is that of (r sigma_1 r)^(1/2) with r = sigma_2^(1/2), a symmetric matrix, whose
    eigenvalues cost a tenth of the others': at 2048 features a second in place of ten. Reported values are torch-fidelity's.
    """

    def __init__(self, mu: NDArray[np.float64], sigma: NDArray[np.float64]) -> None:
        self.mu, self.sigma = mu, sigma
        values, vectors = np.linalg.eigh(sigma)
        self.root = (vectors * np.sqrt(values.clip(min=0))) @ vectors.T

    def distance(self, features: NDArray) -> float:
        """The same as `frechet_to`, to rounding."""
        mu, sigma = statistics(features)
        shared = np.linalg.eigvalsh(self.root @ sigma @ self.root).clip(min=0)
        apart = mu - self.mu
        return float(apart @ apart + np.trace(sigma) + np.trace(self.sigma) - 2 * np.sqrt(shared).sum())


def inception_score(logits: NDArray, settings: DistanceSettings) -> float:
    """exp of the mean KL divergence of p(y|x) from p(y), mean over splits; between 1 and K."""
    import torch
    from torch_fidelity.metric_isc import KEY_METRIC_ISC_MEAN, isc_features_to_metric

    shuffle = settings.inception_order == "shuffled-2020"
    result = isc_features_to_metric(torch.from_numpy(logits), settings.inception_splits, shuffle, 2020)
    return float(result[KEY_METRIC_ISC_MEAN])
