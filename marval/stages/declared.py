"""What `dvc.yaml` declares for one stage: its command, dependencies, parameters and outputs, with the names filled in.

A light reader of the one place that owns the stages, for error messages, checkpoint fingerprints and run records. (DVC's own
API resolves all stages and takes a second to import; the Snakefile uses that one, and a test holds the two together.)
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from marval.errors import UserError
from marval.stages.grid import RUNS, Item
from marval.stages.preset import read_yaml

PIPELINE = Path("dvc.yaml")


@dataclass(frozen=True)
class Declaration:
    """One resolved stage."""

    name: str  # as DVC addresses it, such as distill@digits-marval-0
    command: str
    dependencies: list[Path]
    parameters: dict[Path, list[str]]
    outputs: list[Path]


def declaration(stage: str, preset: str, variant: str | None = None, seed: int | None = None) -> Declaration:
    """The entry of a stage; UserError if the lists of `workflow/runs.yaml` do not have it."""
    key = "-".join(str(part) for part in (preset, variant, seed) if part is not None)
    item = (read_yaml(RUNS) if RUNS.is_file() else {}).get(stage, {}).get(key)
    if item is None:
        raise UserError(
            f"{RUNS} has no {stage}@{key}: activate the preset in params.yaml and run `python -m marval runs`, "
            "or give a variant and seed that it has"
        )
    return resolve(stage, key, item, pipeline())


def pipeline() -> dict[str, Any]:
    """The stages of dvc.yaml, names not filled in."""
    return read_yaml(PIPELINE)["stages"]


def resolve(stage: str, key: str, item: Item, stages: dict[str, Any]) -> Declaration:
    """One of `stages`, with the names of `item` filled in."""
    body = _fill(stages[stage]["do"], item)
    outputs = [entry for kind in ("outs", "metrics", "plots") for entry in body.get(kind, [])]
    return Declaration(
        name=f"{stage}@{key}",
        command=body["cmd"],
        dependencies=[Path(dep) for dep in body.get("deps", [])],
        parameters={Path(file): keys for entry in body.get("params", []) for file, keys in entry.items()},
        outputs=[Path(entry if isinstance(entry, str) else next(iter(entry))) for entry in outputs],
    )


def _fill(node: Any, item: Item) -> Any:
    if isinstance(node, dict):
        return {_fill(key, item): _fill(value, item) for key, value in node.items()}
    if isinstance(node, list):
        return [_fill(value, item) for value in node]
    if isinstance(node, str):
        return re.sub(r"\$\{item\.(\w+)\}", lambda match: str(item[match[1]]), node)
    return node
