"""What pydantic finds wrong with a preset, as one line for people."""

from __future__ import annotations

import re
from typing import Any

from pydantic import Tag, ValidationError

from marval.config import NAME_PATTERN, NAME_RULE, Config
from marval.errors import nearest, shown

KEY = "[key]"  # ends the location of a problem with a key of a mapping, in pydantic's words
LONGEST = 60  # characters of a key that are shown


def explain(error: ValidationError, kind: type[Config]) -> str:
    """The first problem of a preset of class `kind`, and how many more there are."""
    # a misspelt key is also reported as a missing one: say what was written, not what was not
    first, *others = sorted(error.errors(), key=lambda problem: problem["type"] == "missing")
    location = _written(first["loc"])
    key = ".".join(_short(part) for part in location)
    verb = "has" if first["loc"][-1:] == (KEY,) else "is"
    if first["type"] == "extra_forbidden":
        text = f"{key} is not a setting{nearest(str(location[-1]), _siblings(kind, first['loc']))}"
    elif first["type"] == "missing":
        text = f"{key} is missing"
    elif (first.get("ctx") or {}).get("pattern") == NAME_PATTERN:
        text = f"{key} {verb} {shown(first['input'])}: {NAME_RULE}"
    elif first["type"] == "value_error":
        text = f"{key + ': ' if key else ''}{first['ctx']['error']}"
    elif first["type"].startswith("union_tag"):
        text = _no_alternative(key, first["input"], first["ctx"])
    else:
        message = first["msg"].removeprefix("Input ")
        text = f"{key} {verb} {shown(first['input'])}, which {message}"
    return text + (f" (and {len(others)} more)" if others else "")


def _no_alternative(key: str, section: Any, context: dict[str, str]) -> str:
    """Where a section can be of several kinds, and the key that says which does not say so, or is empty."""
    name = context["discriminator"].strip("'()")
    if "expected_tags" not in context:
        return f"{key}.{name} is missing"
    valid = re.findall(r"[\w-]+", context["expected_tags"])
    return f"{key}.{name} is {shown(section[name])}{nearest(str(section[name]), valid)}"


def _written(location: tuple) -> tuple:
    """The location of a problem without what pydantic adds and nobody wrote: tags of alternatives, and that a key is meant."""
    location = location[:-2] if location[-1:] == (KEY,) else location
    return tuple(part for part in location if not str(part).startswith("("))


def _short(part: str | int) -> str:
    """A part of a location as people know it; long ones, which are nobody's, shortened."""
    return str(part) if len(str(part)) <= LONGEST else shown(str(part))


def _siblings(model: type, location: tuple) -> list[str]:
    """Names of the settings that are valid where an unknown one was found; `location` with pydantic's tags."""
    here: list[Any] = [model]
    for part in location[:-1]:
        found = [
            fields[part].annotation for kind in here if part in (fields := getattr(kind, "model_fields", {}))
        ]
        here = [alternative for kind in found for alternative in _alternatives(kind, location)] or here
    return sorted({name for kind in here for name in getattr(kind, "model_fields", {})})


def _alternatives(annotation: Any, location: tuple) -> list[Any]:
    """The classes that an annotation may stand for: of a tagged union the one whose tag is in the location."""
    if hasattr(annotation, "model_fields"):
        return [annotation]
    tags = [data.tag for data in getattr(annotation, "__metadata__", ()) if isinstance(data, Tag)]
    if tags and not set(tags) & set(location):
        return []
    return [a for inner in getattr(annotation, "__args__", ()) for a in _alternatives(inner, location)]
