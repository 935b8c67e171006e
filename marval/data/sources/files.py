"""Sources of image files that stay where they are: the stage `prepare` checks each file and leaves an index of them."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from marval.config import Seed
from marval.data.collection import Collection, Reader
from marval.data.sources.base import Counts, Source

IMAGENET, IMAGENET_CLASSES = 1_281_167, 1_000  # training images; that many classes are taken for ImageNet's


class FileSource(Source):
    """A source that lists image files, and reads each when it is asked for."""

    copies_images: ClassVar[bool] = False
    size: int = Field(ge=8, le=2048, description="side of the centre crop, pixels")
    held_out: int = Field(gt=0, description="images of each class to hold out")
    max_damaged: float = Field(
        0.0, ge=0, description="damaged images to skip: a count, or a fraction below 1"
    )
    seed: Seed = Field(0, description="of the choice of held-out images, and of the halves")

    @property
    def crop(self) -> str:
        return f"adm-{self.size}"

    def counts(self, classes: int) -> Counts:
        if classes == IMAGENET_CLASSES:
            return Counts(IMAGENET, self.held_out * classes, "assumed: ImageNet's")
        return Counts(None, self.held_out * classes, "not known before `prepare` has run")

    @abstractmethod
    def reader(self) -> Reader:
        """Reads by the places that the collection has."""

    @abstractmethod
    def collection(self) -> Collection:
        """List the files; UserError where they cannot be had."""

    def prepare(self, folder: Path, partial: Path, label: str) -> None:
        from marval.data.preparation import prepare_files

        prepare_files(self, folder, partial, label)
