"""Reading a preset's file: YAML, with `base:` resolved to the settings that it starts from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from marval.errors import UserError, nearest

PRESETS = Path("workflow/presets")
BASE = "base"
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # dvc.lock has thousands of lines


def preset_path(name: str) -> Path:
    """The file of a preset; UserError with the nearest name if there is none."""
    path = PRESETS / f"{name}.yaml"
    if not path.is_file():
        names = sorted(p.stem for p in PRESETS.glob("*.yaml"))
        raise UserError(f"there is no preset {name!r} in {PRESETS}/{nearest(name, names)}")
    return path


def read_yaml(path: Path) -> Any:
    """The content of a YAML file; UserError names the line of a syntax error."""
    try:
        return yaml.load(path.read_text(), Loader=LOADER)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{path} cannot be read: {' '.join(str(error).split())}") from error


def read_settings(name: str, seen: tuple[str, ...] = ()) -> dict[str, Any]:
    """The settings that a preset's file and its bases give, defaults not filled in.

    A mapping is merged into the base's, key by key; any other value replaces the base's; null removes a key of the base.
    """
    path = preset_path(name)
    if name in seen:
        raise UserError(f"{path}: base goes in a circle: {' -> '.join([*seen, name])}")
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise UserError(f"{path} is not a mapping of sections: start from workflow/presets/digits.yaml")
    if content.get("name") != name:
        raise UserError(
            f"{path}: name is {content.get('name')!r} but the file is {name}.yaml: make them the same"
        )
    if BASE not in content:
        return content
    if not isinstance(content[BASE], str):
        raise UserError(f"{path}: base is {content[BASE]!r}: give the name of one preset")
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
