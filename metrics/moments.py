"""Mean and covariance of features, also of those that come in batches and are not kept, and a fair selection of them that is."""

import numpy as np
from numpy.typing import NDArray


class Moments:
    """Mean and covariance of all rows so far, in float64.

    Batches are merged by their own mean and scatter (Chan, Golub and LeVeque 1979): sums of squares would lose the digits that
    a large mean and a small spread leave.
    """

    def __init__(self) -> None:
        self.n = 0
        self.mean: NDArray[np.float64] = np.zeros(0)
        self.scatter: NDArray[np.float64] = np.zeros(
            (0, 0)
        )  # sum of outer products of what differs from the mean

    def add(self, rows: NDArray) -> None:
        """Take in (B, D) features."""
        rows = rows.astype(np.float64)
        mean = rows.mean(axis=0)
        centred = rows - mean
        if self.n == 0:
            self.n, self.mean, self.scatter = len(rows), mean, centred.T @ centred
            return
        total, shift = self.n + len(rows), mean - self.mean
        self.scatter += centred.T @ centred + np.outer(shift, shift) * (self.n * len(rows) / total)
        self.mean = self.mean + shift * (len(rows) / total)
        self.n = total

    @property
    def covariance(self) -> NDArray[np.float64]:
        """(D, D), unbiased."""
        return self.scatter / (self.n - 1)


class Selection:
    """At most `size` of the rows that pass by, every row with the same chance, in the order in which they came.

    Each row draws a lot and the smallest lots stay, so that batches do not matter; rows in the order of their classes would
    otherwise leave the first classes alone.
    """

    def __init__(self, size: int, seed: int = 0) -> None:
        self.size = size
        self.rng = np.random.default_rng(seed)
        self.lots: NDArray[np.float64] = np.zeros(0)
        self.columns: list[NDArray] = []

    def add(self, *columns: NDArray) -> None:
        """Offer rows: arrays of the same length, one for each column."""
        self.lots = np.concatenate([self.lots, self.rng.random(len(columns[0]))])
        kept = self.columns or [column[:0] for column in columns]
        self.columns = [np.concatenate(pair) for pair in zip(kept, columns, strict=True)]
        if len(self.lots) > self.size:
            stay = np.sort(np.argpartition(self.lots, self.size - 1)[: self.size])
            self.lots, self.columns = self.lots[stay], [column[stay] for column in self.columns]


def statistics(features: NDArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean (D,) and unbiased covariance (D, D) of (N, D) features, accumulated in float64."""
    features = features.astype(np.float64)
    return features.mean(0), np.atleast_2d(np.cov(features, rowvar=False))


def class_variances(features: NDArray, labels: NDArray) -> NDArray[np.float64]:
    """(K,) for each class present: the features' variances within the class, summed over features.

    The trace of the class's covariance, unbiased: half the mean squared distance between two of its images. A
    class with one image tells nothing of diversity and is left out.
    """
    groups = [features[labels == label].astype(np.float64) for label in np.unique(labels)]
    return np.array([group.var(axis=0, ddof=1).sum() for group in groups if len(group) > 1])
