"""The first screen in words and numbers: the result in a sentence, why each claim has its verdict, three models' samples."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from reports.claims import Claim, Part, Verdict
from reports.claims.model import left_open
from reports.paper import Paper
from reports.pixels import Picture
from reports.provenance import Provenance
from reports.regimes import claimed, regimes, single_image
from reports.results import Results
from reports.roles import Role
from reports.samples import one_of_each_class
from reports.tables.cells import Cell, Cells
from reports.wording import ARROW, interval, plural

SAYS = {  # (one claim, several)
    Verdict.REPRODUCED: ("holds", "hold"),
    Verdict.NOT_REPRODUCED: ("does not hold", "do not hold"),
    Verdict.INCONCLUSIVE: ("stays open", "stay open"),
    Verdict.NOT_ATTEMPTED: ("was not tested", "were not tested"),
}


@dataclass(frozen=True)
class Shown:
    """One model's samples on the first screen; the cells have their sources."""

    name: str
    variant: str
    picture: Picture
    seconds: Cell
    evaluations: Cell


def result(claims: Iterable[Claim], preset: str) -> str:
    """How many of the claims hold, and what the others do."""
    by: dict[Verdict, list[str]] = {verdict: [] for verdict in Verdict}
    for claim in claims:
        by[claim.verdict].append(claim.id)
    total = sum(map(len, by.values()))
    held = by.pop(Verdict.REPRODUCED)
    names = f" ({_listed(held)})" if held else ""
    does = SAYS[Verdict.REPRODUCED][len(held) != 1]
    head = f"{len(held) or 'None'} of {total} claims {does} on {preset}{names}"
    rest = [f"{_listed(ids)} {SAYS[verdict][len(ids) > 1]}" for verdict, ids in by.items() if ids]
    return "; ".join([head, *rest]) + "."


def changed(first: dict[str, Claim], second: dict[str, Claim], names: list[str]) -> str:
    """Which verdicts differ between two results."""
    common = [id for id in first if id in second]
    differ = [id for id in common if first[id].verdict is not second[id].verdict]
    if not differ:
        return f"{names[0]} and {names[1]} have the same verdict on {plural(len(common), 'claim')}."
    turned = [f"{id} ({first[id].verdict} {ARROW} {second[id].verdict})" for id in differ]
    does = "differs" if len(differ) == 1 else "differ"
    return f"{len(differ)} of {plural(len(common), 'verdict')} {does} from {names[0]} to {names[1]}: {_listed(turned)}."


def speedup(results: Results, paper: Paper) -> str:
    """What the paper's headline speed-up is here, in the paper's own regime."""
    student = results.roles.named(Role.STUDENT)
    steps = results.ar_steps(student[0]) if student else None
    regime = claimed(regimes(results, paper.teacher_steps), steps)
    printed = f"The paper's “{paper.speedup('B'):.0f} times faster”"
    if regime is None:
        return f"{printed} was not measured here."
    return f"{printed} is {interval(regime.speedup)} times here, one image at a time ({regime.device})."


def samples(results: Results, paper: Paper, provenance: Provenance) -> tuple[list[Shown], str]:
    """The paper's teacher, the one-step student and its fine-tuned version on the same draws; and how these were chosen."""
    roles = results.roles
    names = dict.fromkeys(
        roles.pair(paper.teacher_steps)[:1], f"Teacher, {paper.teacher_steps} diffusion steps"
    )
    names |= dict.fromkeys(roles.named(Role.STUDENT), "One step")
    names |= dict.fromkeys(roles.named(Role.REINFORCED), "One step + RL")
    pictures, how = one_of_each_class(results, list(names))
    cells = Cells(results, paper, provenance)
    shown = [
        Shown(names[v], v, picture, cells.seconds(v), cells.evaluations(v)) for v, picture in pictures.items()
    ]
    return shown, how


def setting(results: Results, paper: Paper) -> str:
    """How the times under the samples were taken."""
    rows = [single_image(results, v) for v in results.roles.pair(paper.teacher_steps)]
    row = next((row for row in rows if row), None)
    if row is None:
        return ""
    return (
        f"Time for one image: batch 1, {row.mode}, {plural(row.ar_steps, 'AR step')}, {results.device(row)}."
    )


def short(claim: Claim) -> str:
    """Why a claim has its verdict, in one short sentence: which parts decided, without their numbers."""
    own = [part for part in claim.parts if not part.control]
    verdict = claim.verdict
    alike = [p for p in own if p.verdict is verdict]
    if verdict is Verdict.REPRODUCED:
        return (
            f"{'Both' if len(own) == 2 else f'All {len(own)}'} parts hold."
            if len(own) > 1
            else "Its whole interval is beyond the bound."
        )
    if verdict is Verdict.NOT_ATTEMPTED:
        return f"{own[0].why[:1].upper()}{own[0].why[1:].rstrip('.')}." if own else "Nothing was measured."
    if verdict is Verdict.INCONCLUSIVE:
        alike = [p for p in own if p.verdict is not Verdict.REPRODUCED]
        if not alike:
            failed = [p for p in claim.parts if p.control and p.verdict is Verdict.NOT_REPRODUCED]
            return f"The parts hold, but a control fails: {_listed([p.name for p in failed])}."
        return _of(own, alike, left_open(alike))
    return _of(own, alike, "fails" if len(alike) == 1 else "fail")


def _of(own: list[Part], alike: list[Part], does: str) -> str:
    names = _listed([part.name for part in alike])
    if len(own) == 1:
        return f"Its one part {does}: {names}."
    return f"{len(alike)} of {len(own)} parts {does}: {names}."


def _listed(names: list[str], most: int = 3) -> str:
    """`a, b and c`, or `a, b and 4 more`."""
    if len(names) > most + 1:
        names = [*names[: most - 1], f"{len(names) - most + 1} more"]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
