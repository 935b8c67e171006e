"""A folder of image files in ImageNet's layout: train/<class>/*, and val/<class>/* where there are held-out images."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from marval.config import Config


class ImageFolderConfig(Config):
    """Section `prepare` for a folder of image files."""

    data: Literal["image-folder"]
    folder: str = Field(
        description="holds train/<class>/ and perhaps val/<class>/; relative to the repository"
    )
    size: int = Field(ge=8, le=2048, description="side of the centre crop, pixels")
    held_out: int = Field(
        gt=0, description="images of each class to hold out: of val/, or else out of train/"
    )
    max_damaged: float = Field(
        0.0, ge=0, description="damaged images to skip: a count, or a fraction below 1"
    )
    seed: int = Field(0, ge=0)
