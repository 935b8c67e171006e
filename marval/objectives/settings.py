"""Settings of the losses."""

from enum import StrEnum


class Distance(StrEnum):
    """d(y) of one token: the paper's pseudo-Huber, or the squared norm of the KL divergence (ablation)."""

    PSEUDO_HUBER = "pseudo-huber"
    SQUARED = "squared"
