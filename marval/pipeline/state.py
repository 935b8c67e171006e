"""What of a stage has changed since it last ran, by what DVC has recorded of it (dvc.lock).

This is the only notion of stale beside DVC's own, to which a test holds it equal: Snakemake's rules, the plan and the checkpoints
of trainings all rest on it. Parameters are compared as the presets resolve now, whether or not their file has been written.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from marval.errors import UserError
from marval.pipeline.closure import rendered
from marval.pipeline.graph import CODE_LISTS, Graph, Stage
from marval.pipeline.hashes import digest
from marval.pipeline.reading import read_yaml

LOCK = Path("dvc.lock")
NEVER_RUN = "has not run yet"


class DamagedLock(UserError):
    """dvc.lock cannot be read."""


class State:
    """The recorded state of the stages of a graph, against the files that are there."""

    def __init__(self, graph: Graph, settings: Mapping[Path, Any]) -> None:
        """`settings`: contents of the files that stages read parameters from, where they are to be taken from here."""
        self._graph, self._settings = graph, settings
        self._lock = _read_lock()
        self._recorded = {
            Path(out["path"]): out.get("md5") for e in self._lock.values() for out in e.get("outs", [])
        }
        self._digest = functools.cache(digest)
        self._known: dict[str, list[str]] = {}

    def changes(self, stage: Stage) -> list[str]:
        """What differs from the last run, in words; empty where DVC would not run the stage again, makers aside."""
        if stage.address not in self._known:
            self._known[stage.address] = self._changes(stage)
        return self._known[stage.address]

    def to_run(self) -> set[str]:
        """Addresses of the stages that have changed, and of all that read what those make."""
        found: set[str] = set()
        for address in self._in_order():
            stage = self._graph.stages[address]
            if self.changes(stage) or found & set(self._graph.inputs(stage).values()):
                found.add(address)
        return found

    def is_settled(self, address: str) -> bool:
        """Whether nothing but inputs that are gone stands against a stage's outputs."""
        return all(change.startswith(GONE) for change in self.changes(self._graph.stages[address]))

    def lost(self) -> list[str]:
        """md5s of recorded outputs that are not there any more, or not as recorded: what DVC restores from its cache."""
        outputs = [
            (Path(out["path"]), out["md5"])
            for address in self._graph.stages
            for out in self._lock.get(address, {}).get("outs", [])
            if "md5" in out
        ]
        return [md5 for path, md5 in outputs if not (path.exists() and self._digest(path) == md5)]

    def _in_order(self) -> list[str]:
        """Makers before those who read what they make."""
        done: dict[str, None] = {}

        def visit(address: str) -> None:
            if address not in done:
                for maker in self._graph.inputs(self._graph.stages[address]).values():
                    visit(maker)
                done[address] = None

        for address in self._graph.stages:
            visit(address)
        return list(done)

    def _changes(self, stage: Stage) -> list[str]:
        entry = self._lock.get(stage.address)
        if entry is None:
            return [NEVER_RUN]
        command = [] if entry["cmd"] == stage.command else ["the command"]
        return [
            *command,
            *self._changed_settings(stage, entry.get("params", {})),
            *self._changed_dependencies(stage, entry.get("deps", [])),
            *self._changed_outputs(stage, entry.get("outs", [])),
        ]

    def _changed_settings(self, stage: Stage, recorded: Mapping[str, Any]) -> list[str]:
        now = parameters(stage, self._settings)
        return [
            f"the setting {key}"
            for file, values in now.items()
            for key, value in values.items()
            if not equal(recorded.get(file, {}).get(key), value)
        ]

    def _changed_dependencies(self, stage: Stage, recorded: list[dict[str, Any]]) -> list[str]:
        known = {Path(dep["path"]): dep.get("md5") for dep in recorded}
        listed = [f"{path}, which it depends on now" for path in stage.dependencies if path not in known]
        compared = [
            self._compared_code(path, known[path])
            if path.parent == CODE_LISTS
            else self._compared(path, known[path])
            for path in stage.dependencies
            if path in known
        ]
        return [*listed, *filter(None, compared)]

    def _changed_outputs(self, stage: Stage, recorded: list[dict[str, Any]]) -> list[str]:
        known = {Path(out["path"]): out.get("md5") for out in recorded}
        listed = [f"{path}, which it makes now" for path in stage.outputs if path not in known]
        return [
            *listed,
            *(
                f"its output {path}"
                for path in stage.outputs
                if path in known and not (path.exists() and self._digest(path) == known[path])
            ),
        ]

    def _compared_code(self, path: Path, recorded: str | None) -> str:
        """The change of its code, if there is one: as the list would be now, whether or not it has been written."""
        if self._lists_are_current and path.is_file():
            return self._compared(path, recorded)
        now = hashlib.md5(rendered(path.stem).encode()).hexdigest()
        return "" if now == recorded else f"its code ({path})"

    @functools.cached_property
    def _lists_are_current(self) -> bool:
        """Whether no file of any package has changed since the lists were written; saves parsing all of them."""
        makers = [stage for stage in self._graph.stages.values() if CODE_LISTS in stage.outputs]
        return bool(makers) and not any(self.changes(stage) for stage in makers)

    def _compared(self, path: Path, recorded: str | None) -> str:
        """The change of a dependency, if there is one."""
        if not path.exists():
            # what another stage makes is as it recorded, whether or not it is there
            return "" if self._recorded.get(path, object()) == recorded else f"{GONE}{path}"
        return "" if self._digest(path) == recorded else str(path)


GONE = "missing: "


def _read_lock() -> dict[str, Any]:
    try:
        content = read_yaml(LOCK) if LOCK.is_file() else {}
        stages = content.get("stages", {})
        # what is looked up below
        for entry in stages.values():
            _ = entry["cmd"], [out["path"] for part in ("deps", "outs") for out in entry.get(part, [])]
            _ = [list(values) for values in entry.get("params", {}).values()]
    except (UserError, AttributeError, KeyError, TypeError) as error:
        reason = f" ({error})" if isinstance(error, UserError) else ""
        raise DamagedLock(
            f"{LOCK} is damaged{reason}: take it from git (`git checkout {LOCK}`), or delete it; results are then checked anew"
        ) from error
    return stages


def parameters(stage: Stage, settings: Mapping[Path, Any]) -> dict[str, dict[str, Any]]:
    """file -> {key: value} of the parameters that a stage declares, from `settings` where the file is in them."""
    return {
        str(file): {
            key: _lookup(settings[file] if file in settings else read_yaml(file), key) for key in keys
        }
        for file, keys in stage.parameters.items()
    }


def _lookup(content: Any, key: str) -> Any:
    for part in key.split("."):
        content = content[part]
    return content


def equal(recorded: Any, setting: Any) -> bool:
    """Equality of parameters; DVC writes 0.00001 as 1e-05, which is a number in its YAML and a word in ours."""
    if isinstance(recorded, dict) and isinstance(setting, dict):
        return recorded.keys() == setting.keys() and all(
            equal(recorded[key], setting[key]) for key in setting
        )
    if isinstance(recorded, list) and isinstance(setting, list):
        return len(recorded) == len(setting) and all(map(equal, recorded, setting))
    if isinstance(recorded, str) and isinstance(setting, float):
        return float(recorded) == setting
    return recorded == setting


def fingerprint(stage: Stage, settings: Mapping[Path, Any]) -> str:
    """Changes with any setting, input or statement of code of a stage: its checkpoints are resumed by no other."""
    state = hashlib.sha256(stage.command.encode())
    state.update(json.dumps(parameters(stage, settings), sort_keys=True).encode())
    for path in stage.data:
        state.update(f"{path}:{digest(path)}".encode())
    if stage.code is not None:
        state.update(rendered(stage.code.stem).encode())
    return state.hexdigest()[:16]
