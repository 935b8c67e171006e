"""The stages of one preset, active or not, in the order in which they are shown: what they are, need and lack."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from marval.stages import grid
from marval.stages.declared import Declaration, pipeline, resolve
from marval.stages.missing import Missing, Node, missing_inputs
from marval.stages.preset import AnyPreset

ORDER = (
    *("prepare", "tokenizer", "official", "encode", "judges", "published", "teacher", "distill", "reinforce"),
    *("sample", "evaluate", "calibrate", "showcase", "speed", "latency", "report", "latency_report"),
)


@dataclass(frozen=True)
class Planned:
    """One stage."""

    stage: str
    variant: str | None
    seed: int | None
    declared: Declaration
    makers: dict[str, str]  # outputs of other stages that it reads -> the address that makes each
    missing: tuple[Missing, ...]

    @property
    def address(self) -> str:
        return self.declared.name

    @property
    def node(self) -> Node:
        return Node(self.address, frozenset(self.makers.values()), self.missing)


def planned_stages(preset: AnyPreset) -> list[Planned]:
    """All stages that the preset consists of."""
    lists, declared = grid.expand([preset.name]), pipeline()
    found = [
        (stage, item, resolve(stage, key, item, declared))
        for stage in ORDER
        for key, item in lists[stage].items()
    ]
    makers = {str(out): d.name for _, _, d in found for out in d.outputs}
    return [
        _planned(preset, stage, item.get("variant"), item.get("seed"), d, makers) for stage, item, d in found
    ]


def _planned(
    preset: AnyPreset,
    stage: str,
    variant: str | None,
    seed: int | None,
    declared: Declaration,
    makers: dict[str, str],
) -> Planned:
    made = {
        out: maker
        for dep in declared.dependencies
        for out, maker in makers.items()
        if Path(out).is_relative_to(dep)
    }
    outside = [dep for dep in declared.dependencies if not _holds(dep, made)]
    return Planned(stage, variant, seed, declared, made, missing_inputs(stage, preset, outside))


def _holds(folder: Path, outputs: Iterable[str]) -> bool:
    return any(Path(out).is_relative_to(folder) for out in outputs)
