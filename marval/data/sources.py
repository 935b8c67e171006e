"""Where training images can come from; the key `data` of section `prepare` says which."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Discriminator, Tag

from marval.data.digits import DigitsConfig
from marval.data.hub import HubConfig
from marval.data.image_folder import ImageFolderConfig


def data(section: Any) -> str | None:
    """The tag of an alternative by its key `data`; in parentheses, unlike the keys that people write."""
    value = section.get("data") if isinstance(section, dict) else getattr(section, "data", None)
    return None if value is None else f"({value})"


PrepareConfig = Annotated[
    Annotated[DigitsConfig, Tag("(digits)")]
    | Annotated[ImageFolderConfig, Tag("(image-folder)")]
    | Annotated[HubConfig, Tag("(hub)")],
    Discriminator(data),
]
