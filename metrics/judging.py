"""What the networks say of each image. Everything after it is statistics, which needs no network and no images."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from metrics.cache import FeatureCache
from metrics.features import FeatureJudge, Features, NamedJudge, extract
from metrics.memorisation import RealNeighbours
from metrics.reference import Reference
from metrics.samples import Samples


class ScoringJudge(NamedJudge, Protocol):
    """Scores each image against its class's prompt."""

    @property
    def metric(self) -> str:
        """The metric that the mean score is: clip_score, clip_score_b32, image_reward or pick_score."""

    @property
    def report_scale(self) -> float:
        """What a raw score is multiplied by in rows."""

    @property
    def protocol(self) -> dict[str, Any]:
        """What the score depends on besides the weights: template, hash of the class list."""

    def score_images(
        self, images: NDArray[np.uint8], labels: NDArray[np.int64], batch: int
    ) -> NDArray[np.float32]:
        """(N,) raw fp32 scores from (N, H, W, 3) uint8 images and (N,) labels."""


@dataclass(frozen=True)
class Yardstick:
    """A feature judge, and the real images' statistics under it."""

    judge: FeatureJudge
    reference: Reference


@dataclass(frozen=True)
class Jury:
    """All that samples are judged by.

    yardsticks: the first is the one that all metrics of sets are taken by. reward: name in the registry of the scorer that a
    model may have been trained on; its rows say so. neighbours: real images for the question of memorisation.
    """

    yardsticks: Sequence[Yardstick]
    scorers: Sequence[ScoringJudge] = ()
    reward: str | None = None
    neighbours: RealNeighbours | None = None


@dataclass(frozen=True)
class Judged:
    """{judge name: features of N images}, {judge name: (N,) raw fp32 scores}; no scores where the samples have no labels."""

    features: dict[str, Features]
    scores: dict[str, NDArray[np.float32]]


def judge_images(samples: Samples, jury: Jury, batch: int = 256, cache: FeatureCache | None = None) -> Judged:
    """Ask every judge about every image.

    Parts of the samples may be judged apart and joined. Cut at multiples of `batch`, the networks see the same batches, and the
    result is the same to the bit.
    """
    features = {y.judge.name: extract(y.judge, samples, batch, cache) for y in jury.yardsticks}
    labels = samples.labels
    if labels is None:
        return Judged(features, {})
    return Judged(features, {j.name: j.score_images(samples.images, labels, batch) for j in jury.scorers})
