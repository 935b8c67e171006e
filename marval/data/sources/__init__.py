"""Where training images can come from; the key `data` of section `prepare` says which.

A source is a module with a subclass of `Source`, and its line in `SOURCES`. Importing them is quick: no torch, scikit-learn,
datasets or pyarrow before a source is at work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Union, get_args

from pydantic import Discriminator, Tag

from marval.data.sources.base import Source
from marval.data.sources.digits8 import Digits8
from marval.data.sources.fashion_mnist import FashionMnist
from marval.data.sources.hub import HubDataset
from marval.data.sources.image_folder import ImageFolder
from marval.data.sources.mnist_5k import Mnist5k

SOURCES: tuple[type[Source], ...] = (
    Digits8,
    Mnist5k,
    FashionMnist,
    ImageFolder,
    HubDataset,
)


def data(section: Any) -> str | None:
    """The tag of an alternative by its key `data`; in parentheses, unlike the keys that people write."""
    value = section.get("data") if isinstance(section, dict) else getattr(section, "data", None)
    return None if value is None else f"({value})"


def _tagged(source: type[Source]) -> Any:
    (name,) = get_args(source.model_fields["data"].annotation)
    return Annotated[source, Tag(f"({name})")]


if TYPE_CHECKING:
    PrepareConfig = Source
else:
    PrepareConfig = Annotated[Union[tuple(map(_tagged, SOURCES))], Discriminator(data)]  # noqa: UP007
