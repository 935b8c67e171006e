"""One page that holds two results folders against each other: verdicts, then every metric of every common variant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reports import forest, front
from reports.claims import Claim
from reports.claims.compare import incomparable
from reports.formats import Metric
from reports.intervals import difference
from reports.output import write_text
from reports.page import environment, last_started
from reports.provenance import Provenance, check_recorded
from reports.recorded import read_claims
from reports.results import Results, natural
from reports.tables.table import Cell, Table
from reports.wording import interval


def write_comparison(first: Path, second: Path, output: Path) -> Path:
    """Write a page that compares two results folders, each with a report; returns `output`."""
    sides = [Results.open(root.name, root) for root in (first, second)]
    for side in sides:
        check_recorded(side)
    names = _names(first, second)
    one, two = (read_claims(side.root) for side in sides)
    provenances = [Provenance(side, prefix) for side, prefix in zip(sides, ("first", "second"), strict=True)]
    tables = [_scores(sides, names, provenances), _times(sides, names)]
    page = (
        environment()
        .get_template("compare.html.j2")
        .render(
            names=names,
            ours=_ours,
            when=[last_started(side) for side in sides],
            changed=front.changed(one, two, names),
            groups=_changes(one, two),
            claims=[(id, one.get(id), two.get(id)) for id in sorted({*one, *two})],
            tables=[table for table in tables if not table.is_empty],
            sources=[source for provenance in provenances for source in provenance.sources],
        )
    )
    write_text(output, page)
    return output


def _ours(claim: Claim) -> str:
    """A claim's measured value."""
    return interval(claim.estimate)


def _changes(first: dict[str, Claim], second: dict[str, Claim]) -> list[dict[str, Any]]:
    """A group of the forest plot for each claim that both have."""
    return [
        {"id": id, "href": "#verdicts", "rows": forest.changes(first[id], second[id]), "more": 0}
        for id in first
        if id in second
    ]


def _names(first: Path, second: Path) -> list[str]:
    """Folder names where they differ, otherwise A and B."""
    return (
        [first.name, second.name]
        if first.name != second.name
        else [f"{first.name} (A)", f"{second.name} (B)"]
    )


def _scores(sides: list[Results], names: list[str], provenances: list[Provenance]) -> Table:
    """A row for each metric of each variant that both have, with the difference where it may be taken."""
    a, b = (side.metrics for side in sides)
    rows: list[dict[str, Any]] = []
    for variant in sorted(set(a) & set(b), key=natural):
        for metric in [m for m in a[variant] if m in b[variant]]:
            one, two = a[variant][metric], b[variant][metric]
            rows.append(
                {
                    "variant": variant,
                    "metric": one.title,
                    names[0]: Cell(one.estimate, provenances[0].source(one.file), one.judge),
                    names[1]: Cell(two.estimate, provenances[1].source(two.file), two.judge),
                    "second minus first": _change(one, two),
                }
            )
    notes = [
        "A difference is given only where judge and protocol are the same; bold: its 95% interval excludes zero."
    ]
    return Table.of("scores", "Every metric of every variant that both have.", rows, notes=notes)


def _change(one: Metric, two: Metric) -> Cell | str:
    if incomparable(one, two):
        return "not comparable"
    change = difference(two.estimate, one.estimate)
    return Cell(change, best=change.has_interval and (change.low > 0 or change.high < 0))


def _times(sides: list[Results], names: list[str]) -> Table:
    """Seconds an image of what both have timed alike; machines may differ, so no verdict."""
    keys = [
        {(r.variant, r.batch, r.mode, r.ar_steps): r for r in side.speed} for side in sides
    ]  # one row each: a file holds one machine's timings
    rows = [
        {
            "variant": f"{variant}, batch {batch}, {mode}, K={steps}",
            **{
                f"{name}, ms/image": Cell(found[key].estimate.mapped(lambda x: x * 1000))
                for name, found in zip(names, keys, strict=True)
            },
        }
        for key in keys[0]
        if key in keys[1]
        for variant, batch, mode, steps in [key]
    ]
    return Table.of("times", "Time for an image, where both were timed alike. Machines may differ.", rows)
