"""Reading a preset's file: YAML, with `base:` resolved to the settings that it starts from.

Presets may come from strangers: size, depth and what aliases expand to are limited, and a key that stands twice is refused.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from marval.config import NAME_PATTERN, NAME_RULE
from marval.errors import UserError, nearest, shown

PRESETS = Path("workflow/presets")
BASE = "base"
RESERVED = "runs"  # the stage of all presets, and results/runs.json
LARGEST_BYTES = 1 << 18
DEEPEST = 50  # levels of nesting
MOST_VALUES = 1_000_000  # with aliases written out
C_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # dvc.lock has thousands of lines


class _Loader(C_LOADER):  # type: ignore[misc, valid-type]
    """YAML's safe loader, with the limits and without duplicate keys."""

    def construct_document(self, node: yaml.Node) -> Any:
        _measure(node, 0, {})
        return super().construct_document(node)


def preset_path(name: str) -> Path:
    """The file of a preset; UserError with the nearest name if there is none."""
    if not re.fullmatch(NAME_PATTERN, name) or name == RESERVED:
        raise UserError(
            f"{shown(name)} cannot be the name of a preset: "
            + (f"it is taken, by {RESERVED}.json" if name == RESERVED else NAME_RULE)
        )
    path = PRESETS / f"{name}.yaml"
    if not path.is_file():
        names = sorted(p.stem for p in PRESETS.glob("*.yaml"))
        raise UserError(f"there is no preset {name!r} in {PRESETS}/{nearest(name, names)}")
    return path


def read_yaml(path: Path) -> Any:
    """The content of a YAML file of the project; UserError names the line of an error."""
    return _read(path, C_LOADER)


def read_strange_yaml(path: Path) -> Any:
    """The same of a file that may be from anywhere, within the limits."""
    if path.is_file() and path.stat().st_size > LARGEST_BYTES:
        raise UserError(f"{path} cannot be read: it has more than {LARGEST_BYTES} bytes")
    return _read(path, _Loader)


def _read(path: Path, loader: Any) -> Any:
    try:
        text = path.read_text("utf-8")
        if loader is _Loader:
            _check_depth(text)
        return yaml.load(text, Loader=loader)
    # a value of a known form that is none (2026-99-99) is a ValueError, as is what is not UTF-8
    except (OSError, ValueError, TypeError, RecursionError, yaml.YAMLError) as error:
        raise UserError(f"{path} cannot be read: {_one_line(error)}") from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def _check_depth(text: str) -> None:
    """The C loader takes stack for each level and does not ask whether there is any left; reading events takes none."""
    depth = 0
    for event in yaml.parse(text, Loader=C_LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise yaml.YAMLError(f"{_line(event)} is nested deeper than {DEEPEST} levels")


def _line(part: yaml.Node | yaml.Event) -> str:
    return f"line {part.start_mark.line + 1}" if part.start_mark else "a line"


def _measure(node: yaml.Node, depth: int, known: dict[int, tuple[int, int]]) -> tuple[int, int]:
    """(values, levels) of a node with its aliases written out; refuses too much of either, and keys that stand twice."""
    if id(node) not in known:
        if depth > DEEPEST:
            raise yaml.YAMLError(f"an alias makes {_line(node)} deeper than {DEEPEST} levels")
        parts = [(1, 1), *(_measure(inner, depth + 1, known) for inner in _inner(node))]
        known[id(node)] = sum(values for values, _ in parts), 1 + max(levels for _, levels in parts)
    values, levels = known[id(node)]
    if values > MOST_VALUES or depth + levels > 2 * DEEPEST:
        raise yaml.YAMLError(f"the aliases of {_line(node)} expand to too much")
    return values, levels


def _inner(node: yaml.Node) -> list[yaml.Node]:
    """The nodes directly in a node."""
    if isinstance(node, yaml.SequenceNode):
        return node.value
    if not isinstance(node, yaml.MappingNode):
        return []
    keys: set[str] = set()
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode):
            if key.value in keys:
                raise yaml.YAMLError(f"{_line(key)}: the key {shown(key.value)} stands there twice")
            keys.add(key.value)
    return [part for pair in node.value for part in pair]


def read_settings(name: str, seen: tuple[str, ...] = ()) -> dict[str, Any]:
    """The settings that a preset's file and its bases give, defaults not filled in.

    A mapping is merged into the base's, key by key; any other value replaces the base's; null removes a key of the base.
    """
    path = preset_path(name)
    if name in seen:
        raise UserError(f"{path}: base goes in a circle: {' -> '.join([*seen, name])}")
    content = read_strange_yaml(path)
    if not isinstance(content, dict):
        raise UserError(f"{path} is not a mapping of sections: start from workflow/presets/digits.yaml")
    if content.get("name") != name:
        raise UserError(
            f"{path}: name is {shown(content.get('name'))} but the file is {name}.yaml: make them the same"
        )
    if BASE not in content:
        return content
    if not isinstance(content[BASE], str):
        raise UserError(f"{path}: base is {shown(content[BASE])}: give the name of one preset")
    own = {key: value for key, value in content.items() if key != BASE}
    return merged(read_settings(content[BASE], (*seen, name)), own)


def merged(base: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """`own` over `base`; neither is changed."""
    result = dict(base)
    for key, value in own.items():
        if value is None and key in base:
            del result[key]
        elif isinstance(value, dict) and isinstance(base.get(key), dict):
            result[key] = merged(base[key], value)
        else:
            result[key] = value
    return result
