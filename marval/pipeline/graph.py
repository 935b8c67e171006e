"""The stages of `dvc.yaml` with all names filled in, and which reads what another makes: the only reader of that file beside DVC.

A test holds it equal to DVC's own index, which takes DVC's import and has active presets alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from marval.errors import UserError, nearest
from marval.pipeline.items import RUNS, Item, expand
from marval.pipeline.reading import read_yaml

PIPELINE = Path("dvc.yaml")
RECORDS = "records"  # the folder of run records: outputs beside a stage's results
CODE_LISTS = Path("results/code")  # PROGRAM.json: the code that a program's numbers depend on


@dataclass(frozen=True)
class Stage:
    """One stage as DVC addresses it, for example distill@digits-marval-0."""

    kind: str  # its name in dvc.yaml
    key: str  # preset, and perhaps variant and seed; empty for a stage of all presets
    item: Item
    command: str
    dependencies: list[Path]
    parameters: dict[Path, list[str]]  # file -> keys
    outputs: list[Path]
    meta: Mapping[str, Any] = field(default_factory=dict)  # what dvc.yaml notes for Snakemake and the plan

    @property
    def address(self) -> str:
        return f"{self.kind}@{self.key}" if self.key else self.kind

    @property
    def preset(self) -> str | None:
        """The name of its preset; None for a stage of all presets."""
        return self.item.get("preset")

    @property
    def code(self) -> Path | None:
        """Its program's list of code, a dependency; None for the stage that makes these lists."""
        return next((path for path in self.dependencies if path.parent == CODE_LISTS), None)

    @property
    def data(self) -> list[Path]:
        """The other dependencies."""
        return [path for path in self.dependencies if path.parent != CODE_LISTS]

    @property
    def record(self) -> Path | None:
        """Where the record of a run goes; None for a stage that keeps none."""
        return next((path for path in self.outputs if path.parent.name == RECORDS), None)


class Graph:
    """Some stages, by address, in the order of dvc.yaml; UserError where two would write one file."""

    def __init__(self, stages: Iterable[Stage]) -> None:
        self.stages = {stage.address: stage for stage in stages}
        self._maker_of: dict[Path, str] = {}
        self._within: dict[Path, dict[Path, str]] = {}  # what `_made_within` has found
        for stage in self.stages.values():
            for out in stage.outputs:
                if (other := self._maker_of.setdefault(out, stage.address)) != stage.address:
                    raise UserError(
                        f"{other} and {stage.address} would both write {out}: rename a variant of the preset {stage.preset}"
                    )

    def inputs(self, stage: Stage) -> dict[Path, str]:
        """Outputs of other stages that a stage reads as data -> the stage that makes each."""
        return {out: maker for dep in stage.data for out, maker in self._made_within(dep).items()}

    def other_files(self, stage: Stage) -> dict[Path, str]:
        """The same of what it depends on otherwise: files that it reads settings from, and the list of its code."""
        files = [*stage.parameters, *([stage.code] if stage.code else [])]
        return {out: maker for file in files for out, maker in self._made_within(file).items()}

    def outside(self, stage: Stage) -> list[Path]:
        """Dependencies that no stage makes."""
        return [dep for dep in stage.data if not self._made_within(dep)]

    def waiting(self) -> dict[str, int]:
        """For each stage, by address, how many stages the longest chain has that waits for it."""
        readers: dict[str, set[str]] = {address: set() for address in self.stages}
        for stage in self.stages.values():
            for maker in {*self.inputs(stage).values(), *self.other_files(stage).values()}:
                readers[maker].add(stage.address)

        @cache
        def after(address: str) -> int:
            return max((1 + after(reader) for reader in readers[address]), default=0)

        return {address: after(address) for address in self.stages}

    def _made_within(self, path: Path) -> dict[Path, str]:
        """Outputs that are a path, lie in it, or are a folder that it lies in."""
        if path not in self._within:
            self._within[path] = {
                out: maker
                for out, maker in self._maker_of.items()
                if out.is_relative_to(path) or path.is_relative_to(out)
            }
        return self._within[path]


def active_graph() -> Graph:
    """The stages of the active presets, from the lists that DVC reads."""
    if not RUNS.is_file():
        raise UserError(f"{RUNS} is missing: run `python -m marval runs`, which writes it")
    remedy = "run `python -m marval runs`, which writes it anew"
    try:
        lists = read_yaml(RUNS)
    except UserError as error:
        raise UserError(f"{error}: {remedy}") from error
    try:
        return _graph(lists, whole=True)
    except (AttributeError, KeyError, TypeError) as error:
        raise UserError(f"{RUNS} is damaged, or older than {PIPELINE}: {remedy}") from error


def graph_of(name: str) -> Graph:
    """The stages of one preset, active or not."""
    return _graph(expand([name]), whole=False)


def _graph(lists: Mapping[str, Mapping[str, Item]], whole: bool) -> Graph:
    """`whole`: with the stages that belong to no preset."""
    stages = []
    for kind, body in read_yaml(PIPELINE)["stages"].items():
        if "foreach" in body:
            (name,) = re.findall(r"^\$\{(\w+)\}$", body["foreach"])
            if name not in lists:
                raise UserError(f"{PIPELINE}: {kind}.foreach is ${{{name}}}{nearest(name, lists)}")
            stages += [_resolved(kind, key, item, body["do"]) for key, item in lists[name].items()]
        elif whole:
            stages.append(_resolved(kind, "", {}, body))
    return Graph(stages)


def stage_kinds() -> list[str]:
    """Names of all stages in dvc.yaml."""
    return list(read_yaml(PIPELINE)["stages"])


def find_stage(kind: str, preset: str, variant: str | None = None, seed: int | None = None) -> Stage:
    """One stage of an active preset; UserError if there is none."""
    key = "-".join(str(part) for part in (preset, variant, seed) if part is not None)
    stages = active_graph().stages
    if f"{kind}@{key}" not in stages:
        raise UserError(
            f"{RUNS} has no {kind}@{key}: activate the preset by `python -m marval activate {preset}`, or give a variant and "
            "seed that it has"
        )
    return stages[f"{kind}@{key}"]


def _resolved(kind: str, key: str, item: Item, body: Mapping[str, Any]) -> Stage:
    filled = _fill(body, item)
    outputs = [entry for where in ("outs", "metrics", "plots") for entry in filled.get(where, [])]
    return Stage(
        kind=kind,
        key=key,
        item=item,
        command=filled["cmd"],
        dependencies=[Path(dep) for dep in filled.get("deps") or []],
        parameters={Path(file): keys for entry in filled.get("params", []) for file, keys in entry.items()},
        outputs=[Path(entry if isinstance(entry, str) else next(iter(entry))) for entry in outputs],
        meta=filled.get("meta", {}),
    )


def _fill(node: Any, item: Item) -> Any:
    if isinstance(node, dict):
        return {_fill(key, item): _fill(value, item) for key, value in node.items()}
    if isinstance(node, list):
        return [_fill(value, item) for value in node]
    if isinstance(node, str):
        return re.sub(r"\$\{item\.(\w+)\}", lambda match: str(item[match[1]]), node)
    return node
