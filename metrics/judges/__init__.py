"""Miniature judges for small images, trained in seconds: what Inception, CLIP, ImageReward and PickScore are
at full scale.

`JudgesConfig` holds the settings of all four; `build` makes an untrained judge, `load` reads a saved one.
"""

import json
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, ValidationError

from metrics.errors import UserError
from metrics.judges.base import Judge, JudgeConfig
from metrics.judges.clip import Clip, ClipConfig
from metrics.judges.cnn import Cnn, CnnConfig
from metrics.judges.image_reward import ImageReward, ImageRewardConfig
from metrics.judges.pick_score import PickScore, PickScoreConfig
from metrics.judges.quality import quality

__all__ = [
    "KINDS",
    "Clip",
    "Cnn",
    "ImageReward",
    "Judge",
    "JudgeConfig",
    "JudgesConfig",
    "PickScore",
    "build",
    "load",
    "quality",
]

KINDS: dict[str, tuple[type[Judge], type[JudgeConfig]]] = {
    "cnn": (Cnn, CnnConfig),
    "clip": (Clip, ClipConfig),
    "image_reward": (ImageReward, ImageRewardConfig),
    "pick_score": (PickScore, PickScoreConfig),
}


class JudgesConfig(BaseModel):
    """Settings of the four miniature judges, one section each."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cnn: CnnConfig = CnnConfig()
    clip: ClipConfig = ClipConfig()
    image_reward: ImageRewardConfig = ImageRewardConfig()
    pick_score: PickScoreConfig = PickScoreConfig()


def build(kind: str, config: JudgeConfig, class_names: list[str]) -> Judge:
    """An untrained judge of KINDS; its initial weights depend on config.seed alone, not on the global
    generator.
    """
    if kind not in KINDS:
        raise UserError(f"judge kind {kind!r} is unknown: use one of {', '.join(KINDS)}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        judge: Any = KINDS[kind][0]
        return judge(config, class_names)


def load(path: str | Path) -> Judge:
    """Read PATH.json and PATH.safetensors (PATH with or without suffix): in evaluation mode, weights frozen.

    Gradients still flow to the images, which is what reward training needs.
    """
    stem = Path(path)
    if stem.suffix in (".json", ".safetensors"):
        stem = stem.with_suffix("")
    file = stem.with_name(stem.name + ".json")
    if not file.is_file():
        raise UserError(
            f"{file}: no such file: give the path of a judge's .json (the judges stage writes them)"
        )
    try:
        description = json.loads(file.read_text())
        config_class = KINDS[description["kind"]][1]
        config = config_class.model_validate(description["config"])
        judge = build(description["kind"], config, description["class_names"])
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise UserError(f"{file}: config.{key}: {first['msg'].lower()}: train the judge again") from error
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise UserError(f"{file}: not a judge's description ({error!r}): train the judge again") from error
    judge.read_weights(stem, description)
    return judge.eval().requires_grad_(False)
