"""The judges: one record each. Whatever lists, builds, opens or names judges reads it here.

A new judge is a module with its network and one record below (and a class in settings.py where it has sizes to set). The
networks are named by text, and imported by `implementation` when one is wanted: presets are checked without them.
"""

from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

from metrics.errors import UserError
from metrics.judges.settings import (
    ClipConfig,
    CnnConfig,
    EfficientNetConfig,
    ImageRewardConfig,
    JudgeConfig,
    PickScoreConfig,
    TrainedConfig,
)

Role = Literal["features", "scorer"]


@dataclass(frozen=True)
class JudgeRecord:
    """One judge.

    `name` is its key in a preset's section `judges`, and its description's file name. A judge with a `config` belongs to the
    miniature ones; one with `weights`, an entry of the registry of weights, to the published ones.
    """

    name: str
    role: Role
    network: str  # MODULE:CLASS
    config: type[JudgeConfig] | None = None
    weights: str | None = None
    # of a scorer: the metric that its scores are, for result files and for people
    metric: str = ""
    title: str = ""
    differentiable: bool = False  # in the images: whether it can be the training reward
    # of a feature judge beside the first one: the metrics taken in its features, and how their names end
    measures: tuple[str, ...] | None = None  # None: all, it is the first
    suffix: str = ""

    @property
    def is_trained(self) -> bool:
        """Whether the reproduction trains it."""
        return self.config is not None and issubclass(self.config, TrainedConfig)

    @property
    def reference_file(self) -> str:
        """Of a feature judge: its statistics of the real images, beside its description."""
        return f"reference{self.suffix}.npz"

    def implementation(self) -> Any:
        """The class, imported now."""
        module, _, name = self.network.partition(":")
        return getattr(import_module(module), name)


# Feature judges first, the one that all set metrics are taken in at their head; scorers in the order of result files.
MINIATURE = (
    JudgeRecord("cnn", "features", "metrics.judges.cnn:Cnn", CnnConfig),
    JudgeRecord(
        "efficientnet",
        "features",
        "metrics.judges.efficientnet:EfficientNet",
        EfficientNetConfig,
        title="ImageNet features",
        measures=("frechet_distance", "class_frechet_distance"),
        suffix="_efficientnet",
    ),
    JudgeRecord(
        "clip",
        "scorer",
        "metrics.judges.clip:Clip",
        ClipConfig,
        metric="clip_score",
        title="CLIP score",
        differentiable=True,
    ),
    JudgeRecord(
        "image_reward",
        "scorer",
        "metrics.judges.image_reward:ImageReward",
        ImageRewardConfig,
        metric="image_reward",
        title="ImageReward",
        differentiable=True,
    ),
    JudgeRecord(
        "pick_score",
        "scorer",
        "metrics.judges.pick_score:PickScore",
        PickScoreConfig,
        metric="pick_score",
        title="PickScore",
        differentiable=True,
    ),
)
PUBLISHED = (
    JudgeRecord("inception", "features", "metrics.published.inception:Inception", weights="inception"),
    JudgeRecord(
        "dinov2",
        "features",
        "metrics.published.dinov2:Dinov2",
        weights="dinov2",
        title="DINOv2",
        measures=("frechet_distance",),
        suffix="_dinov2",
    ),
    JudgeRecord(
        "clip_l",
        "scorer",
        "metrics.published.clip:ClipL",
        weights="clip-l",
        metric="clip_score",
        title="CLIP score",
    ),
    JudgeRecord(
        "clip_b",
        "scorer",
        "metrics.published.clip:ClipB",
        weights="clip-b",
        metric="clip_score_b32",
        title="CLIP score, ViT-B/32",
    ),
    JudgeRecord(
        "image_reward",
        "scorer",
        "metrics.published.image_reward:ImageRewardV1",
        weights="image-reward",
        metric="image_reward",
        title="ImageReward",
    ),
    JudgeRecord(
        "pick_score",
        "scorer",
        "metrics.published.pick_score:PickScoreV1",
        weights="pick-score",
        metric="pick_score",
        title="PickScore",
        differentiable=True,
    ),
)


def record(name: str) -> JudgeRecord:
    """Of that name; a miniature and a published judge of one name have the same metric and title."""
    return next(found for found in (*MINIATURE, *PUBLISHED) if found.name == name)


def miniature(name: str) -> JudgeRecord:
    """The miniature judge of that name; UserError names the valid ones."""
    for record in MINIATURE:
        if record.name == name:
            return record
    raise UserError(f"judge kind {name!r} is unknown: use one of {', '.join(r.name for r in MINIATURE)}")


def published(weights: str) -> JudgeRecord:
    """The published judge of that entry of the registry of weights; UserError names the valid ones."""
    for record in PUBLISHED:
        if record.weights == weights:
            return record
    raise UserError(
        f"judge {weights!r} is unknown: use one of {', '.join(str(r.weights) for r in PUBLISHED)}"
    )
