"""A data set that `datasets` can load: by its name on the hub, or from a local folder."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from marval.config import Config


class HubConfig(Config):
    """Section `prepare` for a data set of the hub."""

    data: Literal["hub"]
    dataset: str = Field(
        description="name on the hub, or a local folder (saved data set, or one that loads as such)"
    )
    subset: str | None = Field(None, description="configuration of the data set, where it has several")
    revision: str | None = Field(None, description="commit or tag on the hub")
    split: str = Field("train")
    held_out_split: str | None = Field(
        None, description="where to take held-out images; null: out of `split`"
    )
    image: str = Field("image", description="column")
    label: str = Field("label", description="column, a ClassLabel")
    imagenet_names: bool = Field(False, description="name the 1000 classes as for an ImageNet folder")
    size: int = Field(ge=8, le=2048, description="side of the centre crop, pixels")
    held_out: int = Field(gt=0, description="images of each class to hold out")
    max_damaged: float = Field(
        0.0, ge=0, description="damaged images to skip: a count, or a fraction below 1"
    )
    seed: int = Field(0, ge=0)
