"""Which stages are done, by what DVC has recorded of them (dvc.lock): `dvc status` for presets that are not active, too.

A stage is done if its outputs are there and command, settings, code and the recorded inputs are as they were. Large files are
not read: of published weights the size is compared, of other stages' outputs what DVC has recorded on both sides.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from marval.artifacts import digest
from marval.plan.stages import Planned
from marval.stages.preset import read_yaml
from marval.weights.registry import WEIGHTS

LOCK = Path("dvc.lock")


class Record:
    """What DVC remembers."""

    def __init__(self, stages: Iterable[Planned]) -> None:
        self._stages = {stage.address: stage for stage in stages}
        self._lock: dict[str, Any] = (read_yaml(LOCK) or {}).get("stages", {}) if LOCK.is_file() else {}
        self._outs = {out["path"]: out.get("md5") for e in self._lock.values() for out in e.get("outs", [])}
        self._known: dict[str, bool] = {}
        self._digest = functools.cache(digest)
        self._settings = functools.cache(read_yaml)

    def is_done(self, address: str) -> bool:
        if address not in self._known:
            self._known[address] = self._is_done(self._stages[address])
        return self._known[address]

    def is_settled(self, address: str) -> bool:
        """Done but for inputs that are not there any more."""
        return self._as_recorded(self._stages[address])

    def _is_done(self, stage: Planned) -> bool:
        made = all(self.is_done(maker) for maker in stage.makers.values())
        return made and not stage.missing and self._as_recorded(stage)

    def _as_recorded(self, stage: Planned) -> bool:
        entry, declared = self._lock.get(stage.address), stage.declared
        if entry is None or entry["cmd"] != declared.command:
            return False
        if not all(path.exists() for path in declared.outputs):
            return False
        deps = {dep["path"]: dep for dep in entry.get("deps", [])}
        if deps.keys() != {str(path) for path in declared.dependencies}:
            return False
        return self._same_settings(stage, entry.get("params", {})) and all(map(self._same, deps.values()))

    def _same_settings(self, stage: Planned, recorded: dict[str, dict[str, Any]]) -> bool:
        for file, keys in stage.declared.parameters.items():
            settings = self._settings(file)
            if not _equal(recorded.get(str(file)), {key: _lookup(settings, key) for key in keys}):
                return False
        return True

    def _same(self, dep: dict[str, Any]) -> bool:
        path = Path(dep["path"])
        if dep["path"] in self._outs:
            return self._outs[dep["path"]] == dep.get("md5")
        if path.parts[0] in ("results", str(WEIGHTS)) or not path.exists():
            return path.is_dir() or not path.exists() or path.stat().st_size == dep.get("size")
        return self._digest(path) == dep.get("md5")


def _lookup(content: Any, key: str) -> Any:
    for part in key.split("."):
        content = content[part]
    return content


def _equal(recorded: Any, setting: Any) -> bool:
    """DVC writes 0.00001 as 1e-05, which is a number in its YAML and a word in ours."""
    if isinstance(recorded, dict) and isinstance(setting, dict):
        return recorded.keys() == setting.keys() and all(
            _equal(recorded[key], setting[key]) for key in setting
        )
    if isinstance(recorded, list) and isinstance(setting, list):
        return len(recorded) == len(setting) and all(map(_equal, recorded, setting))
    if isinstance(recorded, str) and isinstance(setting, float):
        return float(recorded) == setting
    return recorded == setting
