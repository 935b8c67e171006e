"""What a preset needs from outside and this machine does not have, and which stages have to wait for it.

Nothing here computes or fetches: the Snakefile leaves out the stages that wait and runs the others; `make plan` shows them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from marval import weights
from marval.errors import Missing
from marval.pipeline.graph import Graph, Stage
from marval.pipeline.preset import AnyPreset, Preset
from marval.weights.registry import WEIGHTS

PREPARE = "prepare"
READS_IMAGES = "reads_images"  # noted in dvc.yaml of stages that read training images from where they are


@dataclass(frozen=True)
class Node:
    """A stage in the graph, by DVC's address."""

    address: str
    makers: frozenset[str]  # addresses of the stages whose outputs it reads
    missing: tuple[Missing, ...]  # its own inputs from outside that are not there


def missing_inputs(preset: AnyPreset, outside: Iterable[Path], reads_images: bool) -> tuple[Missing, ...]:
    """Of one stage: `outside`, its declared inputs that no stage makes, and training images where it reads them."""
    absent = [path for path in outside if not path.exists() or path.is_dir()]
    entries = {path.parts[1]: None for path in absent if path.parts[0] == str(WEIGHTS)}
    found = [_of_weights(item, preset.name) for item in weights.missing(entries)]
    found += [_of_project(path) for path in absent if path.parts[0] != str(WEIGHTS) and not path.exists()]
    if reads_images and isinstance(preset, Preset):
        found += preset.prepare.missing()
    return tuple(found)


def nodes_of(graph: Graph, presets: Mapping[str, AnyPreset]) -> list[Node]:
    """The stages of a graph, each with what it needs from outside and lacks."""
    nodes = []
    for stage in graph.stages.values():
        makers = frozenset({*graph.inputs(stage).values(), *graph.other_files(stage).values()})
        preset = presets.get(stage.preset or "")
        reads = bool(stage.meta.get(READS_IMAGES)) and not _has_copies(preset, stage)
        lacks = () if preset is None else missing_inputs(preset, graph.outside(stage), reads)
        nodes.append(Node(stage.address, makers, lacks))
    return nodes


def _has_copies(preset: AnyPreset | None, stage: Stage) -> bool:
    """Whether a stage finds the images among the results, where the source has them copied."""
    return stage.kind != PREPARE and isinstance(preset, Preset) and preset.prepare.copies_images


def _of_weights(item: weights.Wanted, preset: str) -> Missing:
    entry = weights.registry()[item.name]
    return Missing(
        path=item.path,
        what=f"{entry.what} (licence: {entry.licence})",
        source=f"{item.file.size}, {item.file.urls[0]}",
        remedy=f"`make weights PRESET={preset}` fetches weights; a file that you put there is checked and used",
    )


def _of_project(path: Path) -> Missing:
    return Missing(path, "files of the project itself", "git", "`git status` shows what is deleted")


@dataclass(frozen=True)
class Outlook:
    """What becomes of the stages that lack something, themselves or by a stage before them; all others can run."""

    waiting: dict[
        str, tuple[Missing, ...]
    ]  # cannot run, each with what is missing, in the order of the nodes
    settled: frozenset[str]  # need not run: what they made is there


def outlook(nodes: Iterable[Node], is_settled: Callable[[str], bool]) -> Outlook:
    """`is_settled`: whether a stage's outputs are there and nothing but lost inputs stands against them; asked only if needed."""
    by_address = {node.address: node for node in nodes}
    known: dict[str, tuple[Missing, ...]] = {}
    settled: set[str] = set()

    def lacks(address: str) -> tuple[Missing, ...]:
        if address not in known:
            node = by_address[address]
            found = {*node.missing, *(m for maker in node.makers for m in lacks(maker))}
            if found and is_settled(address):
                settled.add(address)
                found = set()
            known[address] = tuple(sorted(found, key=_order))
        return known[address]

    waiting = {address: found for address in by_address if (found := lacks(address))}
    return Outlook(waiting, frozenset(settled))


def _order(missing: Missing) -> str:
    return str(missing.path)


def message(waiting: Mapping[str, tuple[Missing, ...]], total: int) -> str:
    """What is missing, where it belongs and how it gets there, and how many of the `total` stages wait; for people."""
    things = sorted({m for found in waiting.values() for m in found}, key=_order)
    lines = [f"marval: {len(waiting)} of {total} stages wait for what is missing:"]
    for what, group in groupby(things, key=lambda thing: thing.what):
        lines += [f"  {what}", *(f"    {thing.path}: {thing.source}" for thing in group)]
    return "\n".join([*lines, *dict.fromkeys(f"  -> {thing.remedy}" for thing in things)])
