"""Features of images by a feature network, extracted once and shared by every metric that needs them."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from metrics.errors import UserError
from metrics.judges.base import to_bchw


class FeatureJudge(Protocol):
    """A classifier whose penultimate features carry the statistics; Inception at full scale, the small cnn on
    digits.
    """

    @property
    def name(self) -> str: ...

    @property
    def sha256(self) -> str | None: ...

    def features(self, images: Tensor) -> Tensor:
        """(B, D) from (B, 3, H, W) uint8."""

    def head(self, features: Tensor) -> Tensor:
        """(B, K) class logits from (B, D) features."""


@dataclass(frozen=True)
class Features:
    """features: (N, D) float32; logits: (N, K) float32."""

    features: NDArray[np.float32]
    logits: NDArray[np.float32]


@torch.no_grad()
def extract(judge: FeatureJudge, images: NDArray[np.uint8], batch: int = 256) -> Features:
    """Features and logits of (N, H, W, 3) uint8 images."""
    features, logits = [], []
    for start in range(0, len(images), batch):
        feature = judge.features(to_bchw(images[start : start + batch]))
        features.append(feature.float().cpu())
        logits.append(judge.head(feature).float().cpu())
    result = Features(torch.cat(features).numpy(), torch.cat(logits).numpy())
    check_finite(result.features, f"features by {judge.name}")
    return result


def check_finite(features: NDArray, where: str) -> None:
    """Refuse NaN and infinity, which otherwise come out as a score."""
    bad = int((~np.isfinite(features).all(axis=1)).sum())
    if bad:
        raise UserError(
            f"{where}: {bad} of {len(features)} images have features that are not finite: check the images"
        )
