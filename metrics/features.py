"""Features of images by a feature network, extracted once and shared by every metric that needs them."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from metrics.errors import UserError
from metrics.judges.base import to_bchw
from metrics.precision import judging
from metrics.samples import Samples


class NamedJudge(Protocol):
    """Whatever judges: its name in the registry and in result files, and the sha256 of its weights file (None: not saved)."""

    @property
    def kind(self) -> str: ...

    @property
    def name(self) -> str: ...

    @property
    def sha256(self) -> str | None: ...


class FeatureJudge(NamedJudge, Protocol):
    """A classifier whose penultimate features carry the statistics.

    Inception at full scale, the small cnn on digits.
    """

    @property
    def knows_labels(self) -> bool:
        """Whether its classes are those of the samples' labels, in their order."""

    @property
    def resize(self) -> str | None:
        """How it brings images to the side that its network takes, for protocols; None: it takes them as they are."""

    def features(self, images: Tensor) -> Tensor:
        """(B, D) from (B, 3, H, W) uint8."""

    def head(self, features: Tensor) -> Tensor:
        """(B, K) class logits from (B, D) features; K = 0 for a network that is not used as a classifier."""


@dataclass(frozen=True)
class Features:
    """features: (N, D) float32; logits: (N, K) float32."""

    features: NDArray[np.float32]
    logits: NDArray[np.float32]

    def part(self, index: NDArray | slice) -> "Features":
        """Those of some of the images, by indices, a mask or a slice."""
        return Features(self.features[index], self.logits[index])


class FeatureStore(Protocol):
    """Keeps features by content; see metrics.cache."""

    def get(self, samples: Samples, judge: FeatureJudge) -> Features | None: ...

    def put(self, samples: Samples, judge: FeatureJudge, features: Features) -> None: ...


def extract(
    judge: FeatureJudge, samples: Samples, batch: int = 256, store: FeatureStore | None = None
) -> Features:
    """Features and logits of the samples' images, from the store where it has them."""
    found = store.get(samples, judge) if store else None
    if found is not None:
        return found
    made = _extract(judge, samples.images, batch)
    check_finite(made.features, f"{samples.source}, features by {judge.name}")
    if store:
        store.put(samples, judge, made)
    return made


@judging()
def _extract(judge: FeatureJudge, images: NDArray[np.uint8], batch: int) -> Features:
    features, logits = [], []
    for start in range(0, len(images), batch):
        feature = judge.features(to_bchw(images[start : start + batch]))
        features.append(feature.float().cpu())
        logits.append(judge.head(feature).float().cpu())
    return Features(torch.cat(features).numpy(), torch.cat(logits).numpy())


@judging()
def features_of(judge: FeatureJudge, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(B, D) features of one batch (B, H, W, 3)."""
    return judge.features(to_bchw(images)).float().cpu().numpy()


def check_finite(features: NDArray, where: str) -> None:
    """Refuse NaN and infinity, which otherwise come out as a score."""
    bad = int((~np.isfinite(features).all(axis=1)).sum())
    if bad:
        raise UserError(
            f"{where}: {bad} of {len(features)} images have features that are not finite: check the images"
        )
