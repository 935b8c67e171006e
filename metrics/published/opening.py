"""Opening the published judges by name, each from its weights file or folder."""

from collections.abc import Callable
from pathlib import Path

from metrics.published.base import PublishedScorer

Opener = Callable[[str | Path, list[str], str], PublishedScorer]  # (weights, class names, template)


def _clip_l(weights: str | Path, names: list[str], template: str) -> PublishedScorer:
    from metrics.published.clip import VIT_L, OpenClip

    return OpenClip.from_file(VIT_L, weights, names, template)


def _clip_b(weights: str | Path, names: list[str], template: str) -> PublishedScorer:
    from metrics.published.clip import VIT_B, OpenClip

    return OpenClip.from_file(VIT_B, weights, names, template)


def _image_reward(weights: str | Path, names: list[str], template: str) -> PublishedScorer:
    from metrics.published.image_reward import ImageRewardV1

    return ImageRewardV1.from_folder(weights, names, template)


def _pick_score(weights: str | Path, names: list[str], template: str) -> PublishedScorer:
    from metrics.published.pick_score import PickScoreV1

    return PickScoreV1.from_folder(weights, names, template)


INCEPTION = "inception"  # the judge that has features; the others score prompts
SCORERS: dict[str, Opener] = {
    "clip-l": _clip_l,
    "clip-b": _clip_b,
    "image-reward": _image_reward,
    "pick-score": _pick_score,
}
