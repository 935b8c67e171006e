"""The judges of one reproduction, from the folder where a stage left their descriptions, NAME.json each.

Miniature judges have their weights beside the description; a published judge's description says where its weights are.
"""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from metrics.errors import UserError

if TYPE_CHECKING:
    from metrics.features import FeatureJudge
    from metrics.judging import ScoringJudge
    from metrics.reference import Reference

FEATURE_JUDGES = ("cnn", "inception")
SCORERS = ("clip", "clip_l", "clip_b", "image_reward", "pick_score")  # in the order of result files
REWARD = "pick_score"


class Reward(Protocol):
    """What RL trains on."""

    def score(self, images: Tensor, labels: Tensor) -> Tensor:
        """(B,) from images (B, 3, H, W) in [0, 1] and labels (B,); differentiable in the images."""


class OpenedJudges:
    """The judges of a folder, each read when it is first asked for: at full scale they are gigabytes."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.device = folder, torch.device("cpu")
        self._open: dict[str, Any] = {}

    @property
    def features(self) -> "FeatureJudge":
        """The network whose features carry the Frechet distance."""
        return self._judge(self._one_of(FEATURE_JUDGES))

    @property
    def scorers(self) -> "list[ScoringJudge]":
        """All that score images for their prompts; the training reward is one of them."""
        return [self._judge(name) for name in SCORERS if self._file(name).is_file()]

    def scorer(self, name: str) -> Any:
        """One of the scorers, for example to train on; UserError where there is none of this name."""
        return self._judge(self._one_of((name,)))

    @cached_property
    def reference(self) -> "Reference":
        """Statistics of the real images under `features`."""
        from metrics.reference import read_reference

        return read_reference(self.folder / "reference.npz")

    def to(self, device: str | torch.device) -> "OpenedJudges":
        """Move all judges there, also those that are read later."""
        self.device = torch.device(device)
        for judge in self._open.values():
            judge.to(self.device)
        return self

    def _judge(self, name: str) -> Any:
        from metrics.judges import load

        if name not in self._open:
            self._open[name] = load(self._file(name)).to(self.device)
        return self._open[name]

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.json"

    def _one_of(self, names: tuple[str, ...]) -> str:
        found = [name for name in names if self._file(name).is_file()]
        if len(found) != 1:
            raise UserError(
                f"{self.folder}: {len(found)} of {', '.join(f'{name}.json' for name in names)}, not one: run the stage that "
                "makes the judges"
            )
        return found[0]


def open_folder(folder: str | Path) -> OpenedJudges:
    """The judges that the stage `judges` or `published` described in `folder`, on the CPU."""
    return OpenedJudges(Path(folder))
