"""The 1000 classes of ImageNet: their WordNet ids in the order of the labels, and what they are called."""

from __future__ import annotations

from functools import cache
from pathlib import Path

WNIDS = Path(__file__).with_name("imagenet_wnids.txt")


@cache
def wnids() -> dict[str, int]:
    """WordNet id -> label; the labels follow the order of the ids."""
    return {wnid: label for label, wnid in enumerate(WNIDS.read_text().split())}


def entity_names() -> list[str]:
    """Names by label, those that CLIP is evaluated with. Two occur twice: a name does not identify a class."""
    from open_clip import IMAGENET_CLASSNAMES

    return list(IMAGENET_CLASSNAMES)
