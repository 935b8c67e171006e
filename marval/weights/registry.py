"""The registry `workflow/weights.yaml`: what each published file is, where it comes from and what it must be."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import Field, TypeAdapter, ValidationError, model_validator

from marval.config import Config
from marval.errors import UserError

REGISTRY = Path("workflow/weights.yaml")
WEIGHTS = Path("weights")


class RemoteFile(Config):
    """One file of an entry."""

    path: str = Field(pattern=r"^\w[\w.-]*(/\w[\w.-]*)*$", description="inside weights/NAME/")
    urls: tuple[str, ...] = Field(min_length=1, description="tried in this order")
    bytes: int | None = Field(None, gt=0, description="exact size")
    about: str | None = Field(None, description="size for people, where the exact one is not published")
    sha256: str | None = Field(None, pattern="^[0-9a-f]{64}$")

    @model_validator(mode="after")
    def _has_a_size(self) -> RemoteFile:
        if (self.bytes is None) == (self.about is None):
            raise ValueError(f"{self.path}: give its size, either bytes or about")
        return self

    @property
    def size(self) -> str:
        """For people."""
        if self.bytes is None:
            return str(self.about)
        unit, name = next((u, n) for u, n in ((1e9, "GB"), (1e6, "MB"), (1e3, "KB")) if self.bytes >= u)
        return f"{self.bytes / unit:.3g} {name}"


class WeightsFile(Config):
    """One entry: a file, or several that belong together."""

    what: str
    page: str
    licence: str
    files: list[RemoteFile] = Field(min_length=1)


@dataclass(frozen=True)
class Wanted:
    """A file of an entry, and its place on this machine."""

    name: str  # of the entry
    file: RemoteFile

    @property
    def path(self) -> Path:
        return WEIGHTS / self.name / self.file.path


def registry() -> dict[str, WeightsFile]:
    """All entries by name; UserError names the file and the problem."""
    try:
        return TypeAdapter(dict[str, WeightsFile]).validate_python(yaml.safe_load(REGISTRY.read_text()))
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise UserError(f"{REGISTRY} cannot be read: {' '.join(str(error).split())}") from error


def path_of(name: str) -> Path:
    """Where an entry lies or would lie: its file, or its folder if it has several."""
    files = _entry(name).files
    return WEIGHTS / name / files[0].path if len(files) == 1 else WEIGHTS / name


def wanted(names: Iterable[str]) -> list[Wanted]:
    """All files of the entries, in order."""
    return [Wanted(name, file) for name in names for entry in [_entry(name)] for file in entry.files]


def _entry(name: str) -> WeightsFile:
    entries = registry()
    if name not in entries:
        near = difflib.get_close_matches(name, entries, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(entries)}"
        raise UserError(f"{REGISTRY} has no {name!r}; {hint}")
    return entries[name]
