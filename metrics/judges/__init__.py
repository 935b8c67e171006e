"""Judges of images: miniature ones for small images, trained in seconds, and the folder that a reproduction keeps its judges in.

The miniature ones are what Inception, CLIP, ImageReward and PickScore are at full scale. `JudgesConfig` holds the settings of
all four; `build` makes an untrained judge, `load` reads a saved one, `open_folder` all judges of a reproduction, miniature or
published.
"""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Discriminator, Tag, ValidationError

from metrics.errors import UserError
from metrics.judges.base import Judge, JudgeConfig
from metrics.judges.clip import Clip, ClipConfig
from metrics.judges.cnn import Cnn, CnnConfig
from metrics.judges.image_reward import ImageReward, ImageRewardConfig
from metrics.judges.opened import OpenedJudges, open_folder
from metrics.judges.pick_score import PickScore, PickScoreConfig
from metrics.judges.prompts import TEMPLATE
from metrics.judges.quality import quality

__all__ = [
    "KINDS",
    "AnyJudgesConfig",
    "Clip",
    "Cnn",
    "ImageReward",
    "Judge",
    "JudgeConfig",
    "JudgesConfig",
    "OpenedJudges",
    "PickScore",
    "PublishedJudgesConfig",
    "build",
    "load",
    "open_folder",
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

    kind: Literal["miniature"] = "miniature"
    cnn: CnnConfig = CnnConfig()
    clip: ClipConfig = ClipConfig()
    image_reward: ImageRewardConfig = ImageRewardConfig()
    pick_score: PickScoreConfig = PickScoreConfig()


class PublishedJudgesConfig(BaseModel):
    """The published judges have no settings: their weights are theirs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["published"]


def _kind(section: Any) -> Any:
    return section.get("kind", "miniature") if isinstance(section, dict) else getattr(section, "kind", None)


AnyJudgesConfig = Annotated[
    Annotated[JudgesConfig, Tag("miniature")] | Annotated[PublishedJudgesConfig, Tag("published")],
    Discriminator(_kind),
]


def build(kind: str, config: JudgeConfig, class_names: list[str], template: str = TEMPLATE) -> Judge:
    """An untrained judge of KINDS; its initial weights depend on config.seed alone, not on the global
    generator.
    """
    if kind not in KINDS:
        raise UserError(f"judge kind {kind!r} is unknown: use one of {', '.join(KINDS)}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        judge: Any = KINDS[kind][0]
        return judge(config, class_names, template)


def load(path: str | Path) -> Any:
    """Read PATH.json and the weights that belong to it (PATH with or without suffix): in evaluation mode, weights frozen.

    A miniature judge is a Judge with its weights in PATH.safetensors; a published one has the same methods for evaluation.
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
    description = _description(file)
    if description["kind"] == "published":
        from metrics.published.folder import open_description

        return open_description(file, description)
    try:
        config_class = KINDS[description["kind"]][1]
        config = config_class.model_validate(description["config"])
        judge = build(description["kind"], config, description["class_names"], description["template"])
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise UserError(f"{file}: config.{key}: {first['msg'].lower()}: train the judge again") from error
    except (KeyError, TypeError) as error:
        raise UserError(f"{file}: not a judge's description ({error!r}): train the judge again") from error
    judge.read_weights(stem, description)
    return judge.eval().requires_grad_(False)


def _description(file: Path) -> dict[str, Any]:
    try:
        description = json.loads(file.read_text())
    except ValueError as error:
        raise UserError(f"{file}: not JSON: run the stage that makes the judges again") from error
    if not isinstance(description, dict) or "kind" not in description:
        raise UserError(f"{file}: not a judge's description: run the stage that makes the judges again")
    return description
