"""The judges of one reproduction, from the folder where a stage left their descriptions, NAME.json each.

Miniature judges have their weights beside the description; a published judge's description says where its weights are.
"""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from metrics.errors import UserError
from metrics.judges.files import load
from metrics.judges.registry import MINIATURE, PUBLISHED, JudgeRecord

if TYPE_CHECKING:
    from metrics.features import FeatureJudge
    from metrics.judging import Jury, ScoringJudge, Yardstick
    from metrics.memorisation import RealNeighbours
    from metrics.reference import Reference

NEIGHBOURS = "neighbours.npz"


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
        """The network whose features all metrics of sets are taken in."""
        return self._judge(self._first_features().name)

    @cached_property
    def reference(self) -> "Reference":
        """Statistics of the real images under `features`."""
        return self._reference(self._first_features())

    @property
    def yardsticks(self) -> "list[Yardstick]":
        """All feature judges, each with its statistics of the real images; the first is `features`."""
        from metrics.judging import Yardstick

        first = self._first_features()
        found = [Yardstick(self._judge(first.name), self.reference)]
        return found + [
            Yardstick(self._judge(record.name), self._reference(record))
            for record in self._described
            if record.role == "features" and record is not first
        ]

    @property
    def scorers(self) -> "list[ScoringJudge]":
        """All that score images for their prompts, in the order of result files."""
        return [self._judge(record.name) for record in self._described if record.role == "scorer"]

    def unseen(self, reward: str) -> "list[ScoringJudge]":
        """All scorers but the one that training was rewarded by."""
        return [judge for judge in self.scorers if judge.kind != reward]

    def jury(self, reward: str | None) -> "Jury":
        """All of them, to score samples with; `reward` names the scorer that models are trained on."""
        from metrics.judging import Jury

        return Jury(self.yardsticks, self.scorers, reward, self.neighbours)

    def scorer(self, name: str) -> "ScoringJudge":
        """The scorer of that name; UserError names those that are there."""
        valid = [record.name for record in self._described if record.role == "scorer"]
        if name not in valid:
            raise UserError(f"{self.folder}: no scorer {name!r} there: use one of {', '.join(valid)}")
        return self._judge(name)

    def reward(self, name: str) -> Reward:
        """The scorer of that name as a training reward; UserError where it gives the images no gradients."""
        valid = [record.name for record in self._described if record.differentiable]
        if name not in valid:
            raise UserError(
                f"{self.folder}: {name!r} is no judge there that is differentiable in the images: "
                f"use one of {', '.join(valid)}"
            )
        return self._judge(name)

    @cached_property
    def neighbours(self) -> "RealNeighbours | None":
        """Training and held-out images for the question of memorisation, where the folder has them."""
        from metrics.memorisation import read_neighbours

        file = self.folder / NEIGHBOURS
        return read_neighbours(file) if file.is_file() else None

    def to(self, device: str | torch.device) -> "OpenedJudges":
        """Move all judges there, also those that are read later."""
        self.device = torch.device(device)
        for judge in self._open.values():
            judge.to(self.device)
        return self

    @cached_property
    def _described(self) -> list[JudgeRecord]:
        """Records of the judges whose descriptions are there, miniature or published."""
        firsts = {"cnn": MINIATURE, "inception": PUBLISHED}
        found = [name for name in firsts if self._file(name).is_file()]
        if len(found) != 1:
            raise UserError(
                f"{self.folder}: {len(found)} of {', '.join(f'{name}.json' for name in firsts)}, not one: run the stage that "
                "makes the judges"
            )
        return [record for record in firsts[found[0]] if self._file(record.name).is_file()]

    def _first_features(self) -> JudgeRecord:
        return next(
            record for record in self._described if record.measures is None and record.role == "features"
        )

    def _reference(self, record: JudgeRecord) -> "Reference":
        from metrics.reference import read_reference

        return read_reference(self.folder / record.reference_file)

    def _judge(self, name: str) -> Any:
        if name not in self._open:
            self._open[name] = load(self._file(name)).to(self.device)
        return self._open[name]

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.json"


def open_folder(folder: str | Path) -> OpenedJudges:
    """The judges that the stage `judges` or `published` described in `folder`, on the CPU."""
    return OpenedJudges(Path(folder))
