"""The numbers made of features and logits. The formulas are torch-fidelity's own functions; this module only
calls them.

Shapes: features (N, D), logits (N, K), reference features (M, D); all numpy.
"""

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from metrics.reference import statistics

Order = Literal["shuffled-2020", "as-given"]


class DistanceSettings(BaseModel):
    """How the set-level metrics are taken; recorded in every measurement's protocol."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    inception_splits: int = Field(default=10, ge=1, le=1000)
    inception_order: Order = Field(
        default="shuffled-2020",
        description="torch-fidelity shuffles (seed 2020) before it splits; ADM splits in the given order, "
        "which lowers the score of batches that are ordered by class",
    )
    kernel_subsets: int = Field(default=100, ge=1, le=10_000)
    kernel_subset_size: int = Field(default=100, ge=2, le=10_000)
    neighbours: int = Field(default=3, ge=1, le=100)


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
    from torch_fidelity.metric_isc import KEY_METRIC_ISC_MEAN, isc_features_to_metric

    shuffle = settings.inception_order == "shuffled-2020"
    result = isc_features_to_metric(torch.from_numpy(logits), settings.inception_splits, shuffle, 2020)
    return float(result[KEY_METRIC_ISC_MEAN])


def kernel_distance(features: NDArray, real: NDArray, settings: DistanceSettings) -> float:
    """Unbiased squared MMD with the cubic kernel (KID), mean over subsets; may be slightly negative.

    Subsets are as large as the smaller set where that has fewer images than kernel_subset_size.
    """
    from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric

    result = kid_features_to_metric(
        torch.from_numpy(features.astype(np.float64)),
        torch.from_numpy(real.astype(np.float64)),
        kid_subsets=settings.kernel_subsets,
        kid_subset_size=min(settings.kernel_subset_size, len(features), len(real)),
        rng_seed=2020,
        verbose=False,
    )
    return float(result[KEY_METRIC_KID_MEAN])


def precision_recall(features: NDArray, real: NDArray, settings: DistanceSettings) -> tuple[float, float]:
    """Share of samples inside the real manifold, share of real images inside the samples' manifold.

    Kynkäänniemi et al. 2019: a manifold is the union of balls around its images, each reaching to the k-th
    nearest neighbour.
    """
    # in float64: fast float32 distances lose the radius of near-duplicates
    from torch_fidelity.metric_prc import KEY_METRIC_PRECISION, KEY_METRIC_RECALL, prc_features_to_metric

    result = prc_features_to_metric(
        torch.from_numpy(features.astype(np.float64)),
        torch.from_numpy(real.astype(np.float64)),
        prc_neighborhood=settings.neighbours,
        prc_batch_size=10_000,
        save_cpu_ram=len(features) > 10_000,
        verbose=False,
    )
    return float(result[KEY_METRIC_PRECISION]), float(result[KEY_METRIC_RECALL])
