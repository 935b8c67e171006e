"""Does a preset test a claim itself, or only a stand-in? Decided by its data, model and judges, never by its name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from reports.paper import Paper
from reports.results import Results


@dataclass(frozen=True)
class Scope:
    """`size`: the paper's model size that the preset uses, B, L or H. `differs`: how its setting is not the paper's, in words."""

    size: str | None
    differs: tuple[str, ...]

    @property
    def is_full(self) -> bool:
        return not self.differs

    def __str__(self) -> str:
        return "full" if self.is_full else "proxy"


def scope_of(results: Results, paper: Paper) -> Scope:
    """Full: ImageNet's 1000 classes at 256 pixels, a model of the paper's size, the published judges.

    That a folder of 1000 classes is ImageNet cannot be read off a preset; but its judges' reference statistics are ImageNet's,
    so other images would show as a distance far from the paper's.
    """
    settings, full = results.settings, paper.content["full_scale"]
    if not settings:
        return Scope(None, ("settings.json is not there, so the setting is not known",))
    if not settings.get("prepare"):
        return Scope(None, ("there are no images, only time is measured",))
    model = _section(_section(settings, "teacher"), "model")
    size = next((s for s, wanted in full["sizes"].items() if wanted.items() <= _flat(model).items()), None)
    found = [
        *_images(_section(settings, "prepare"), full),
        *([] if size else ["the model is none of the paper's sizes"]),
        *([] if model.get("classes") == full["classes"] else [f"there are not {full['classes']} classes"]),
        *([] if _section(settings, "judges").get("kind") == "published" else ["the judges are small ones"]),
    ]
    return Scope(size, tuple(found))


def _images(prepare: dict[str, Any], full: dict[str, Any]) -> list[str]:
    if prepare.get("data") not in full["sources"]:
        return [f"the images are those of {prepare.get('data')}, not ImageNet's"]
    return (
        []
        if prepare.get("size") == full["side"]
        else [f"the images do not have {full['side']} pixels a side"]
    )


def _section(settings: dict[str, Any], name: str) -> dict[str, Any]:
    found = settings.get(name)
    return found if isinstance(found, dict) else {}


def _flat(model: dict[str, Any]) -> dict[str, Any]:
    """A model's settings, those of its head as head_width and head_blocks."""
    head = {f"head_{name}": value for name, value in _section(model, "head").items()}
    return {name: value for name, value in (model | head).items() if isinstance(value, int)}
