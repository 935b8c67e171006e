"""The plan as text: a line for each group of stages that are alike, what is missing, totals, and how to start."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten

from marval.pipeline.missing import Missing
from marval.plan.needs import Needs

WIDTH = 118
HEADER = ("stage", "what", "state", "FLOP", "GPU-hours", "GPUs", "GB of each", "disk GB")


@dataclass(frozen=True)
class Line:
    """One stage in the plan."""

    stage: str
    name: str  # variant and seed, where it has them
    state: str
    needs: Needs
    gpus: int
    gpu_hours: float

    @property
    def kind(self) -> tuple:
        """Equal for stages that share a line."""
        return self.stage, self.state, self.needs, self.gpus


def rows(lines: Sequence[Line], memory_bytes: float) -> list[tuple[str, ...]]:
    """Cells of the table, stages that are alike in one row; `memory_bytes`: of a GPU, beyond it a `!` is set."""
    groups: dict[tuple, list[Line]] = {}
    for line in lines:
        groups.setdefault(line.kind, []).append(line)
    return [_row(group, memory_bytes) for group in groups.values()]


def _row(group: list[Line], memory_bytes: float) -> tuple[str, ...]:
    first, count = group[0], len(group)
    stage = first.stage if count == 1 else f"{first.stage} x {count}"
    flops = first.needs.flops + first.needs.float32_flops
    on_gpu = flops > 0
    mark = "!" if first.needs.gpu_bytes > memory_bytes else ""
    return (
        stage,
        ", ".join(line.name for line in group if line.name),
        first.state,
        quantity(flops * count) if on_gpu else "",
        f"{first.gpu_hours * count:,.1f}" if on_gpu else "",
        str(first.gpus) if on_gpu else "",
        f"{mark}{first.needs.gpu_bytes / 1e9:.1f}" if on_gpu else "",
        f"{first.needs.disk_bytes * count / 1e9:,.1f}" if first.needs.disk_bytes else "",
    )


def aligned(cells: Sequence[tuple[str, ...]]) -> list[str]:
    """The table; the names in the second column give way where a line would be too long."""
    table = [HEADER, *cells]
    widths = [max(len(row[i]) for row in table) for i in range(len(HEADER))]
    widths[1] = min(widths[1], WIDTH - sum(widths) + widths[1] - 2 * (len(HEADER) - 1))
    return [_aligned(row, widths) for row in table]


def _aligned(row: tuple[str, ...], widths: list[int]) -> str:
    left = [cell.ljust(width) for cell, width in zip(row[:3], widths[:3], strict=True)]
    left[1] = shorten(row[1], widths[1], placeholder=" ...").ljust(widths[1])
    right = [cell.rjust(width) for cell, width in zip(row[3:], widths[3:], strict=True)]
    return "  ".join([*left, *right]).rstrip()


def missing_lines(missing: Iterable[Missing]) -> list[str]:
    """What is missing, one line for what belongs together, and how it gets there."""
    groups: dict[str, list[Missing]] = {}
    for thing in missing:
        groups.setdefault(thing.what, []).append(thing)
    listed = [f"  {_place(group)}: {what}" for what, group in groups.items()]
    remedies = dict.fromkeys(f"  -> {thing.remedy}" for group in groups.values() for thing in group)
    return [line if len(line) <= WIDTH else f"{line[: WIDTH - 4]} ..." for line in listed] + [*remedies]


def _place(group: Sequence[Missing]) -> str:
    paths = [thing.path for thing in group]
    if len(paths) == 1:
        return str(paths[0])
    return f"{Path(*paths[0].parts[:2])}, {len(paths)} files"


def quantity(flops: float) -> str:
    """With a prefix, three digits."""
    for size, prefix in ((1e21, "Z"), (1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G")):
        if flops >= size:
            return f"{flops / size:.3g} {prefix}"
    return f"{flops:.3g} "
