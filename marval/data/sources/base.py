"""What every source of images answers for itself. Nothing heavy is imported until a source is at work."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from marval.config import Config
from marval.errors import Missing

if TYPE_CHECKING:
    from marval.data.collection import Reader


class Counts(NamedTuple):
    """How many images a source gives, as far as its settings say."""

    train: int | None  # None: not known before the stage prepare
    held_out: int  # at most, where classes may have fewer
    basis: str  # how this is known, for people


class Source(Config, ABC):
    """Section `prepare`: where the images come from. Its key `data` names the source, by the literal of the subclass."""

    copies_images: ClassVar[bool]  # into results/; otherwise other stages read them where they are
    size: int  # side of the images that all stages see, pixels

    @property
    @abstractmethod
    def crop(self) -> str:
        """How images were brought to size, in the words of the reference statistics: "none" or "adm-SIZE"."""

    @abstractmethod
    def class_count(self) -> int | None:
        """How many classes there are; None where that is not known before the stage prepare."""

    @abstractmethod
    def counts(self, classes: int) -> Counts:
        """How many images there are, if they have so many classes."""

    def missing(self) -> list[Missing]:
        """What this machine lacks and no stage could fetch."""
        return []

    @abstractmethod
    def prepare(self, folder: Path, partial: Path, label: str) -> None:
        """Write train.parquet, test.npz (ADM's convention: arr_0 images, arr_1 labels) and classes.json to `folder`.

        `partial` keeps what an interruption would lose; `label` is for progress. UserError where images cannot be had.
        """

    def reader(self) -> Reader:
        """Reads the image files where they are; only of a source that does not copy them."""
        raise TypeError(f"the images of {type(self).__name__} are copied into results/")
