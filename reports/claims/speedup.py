"""C2: more than 30 times faster. Tested in the claim's own regime (batch 1, eager), every other regime beside it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from reports.claims.compare import Held
from reports.claims.model import Claim, Part, above
from reports.paper import Paper
from reports.regimes import Regime, claimed, on_cpu, regimes, size_of
from reports.results import Results
from reports.roles import Role
from reports.scope import Scope, scope_of
from reports.split import split
from reports.wording import interval, number, seconds


def check(entry: dict[str, Any], results: Results, paper: Paper) -> Claim:
    """Eager with eager, one image at a time; full scope for a model of the paper's size on an accelerator, with any images."""
    scope = scope_of(results, paper)
    found = regimes(results, paper.teacher_steps)
    regime = claimed(found, results.ar_steps(results.roles.the(Role.STUDENT)))
    size = _size(regime, scope)
    full = regime is not None and size is not None and not on_cpu(regime.student)
    bound = bound_of(paper, size)
    # where Table 1's times for this size do not reach the abstract's bound
    own = bound < paper.tolerance(entry["id"], "speedup")[0]
    part = _part(regime, found, bound, paper if full else None)
    return Claim(
        entry,
        title=f"As many times faster at batch 1 as Table 1 has for {size}" if own else "",
        scope="full" if full else "proxy",
        quantity=f"speed-up at batch 1, eager, over the {paper.teacher_steps}-step teacher",
        paper=paper.speedup(size or "B"),
        estimate=part.estimate,
        parts=[part],
        beside=[
            *([f"{entry['title']}: that is B's figure. {_own(paper, size)}"] if own else []),
            *_beside(regime, found),
        ],
    )


def bound_of(paper: Paper, size: str | None) -> float:
    """What a size is held to: the abstract's bound, or most of Table 1's own ratio where that is less (H)."""
    printed, own = paper.tolerance("C2", "speedup")[0], paper.speedup(size or "B")
    return printed if own is None else min(printed, own * paper.tolerance("C2", "own_ratio")[0])


def _own(paper: Paper, size: str | None) -> str:
    return f"Table 1's own times give {number(paper.speedup(size or 'B'))} for {size}, to which {size} is held here."


def _size(regime: Regime | None, scope: Scope) -> str | None:
    """B, L or H, by the timed model's name, or else by the preset."""
    return (size_of(regime.student.model) if regime else None) or scope.size


def _part(regime: Regime | None, found: list[Regime], bound: float, full: Paper | None) -> Part:
    held = Held("speed-up at batch 1, eager", above, bound)
    if regime is None:
        missing = (
            "only other regimes were timed" if found else "no pair of teacher and student was timed alike"
        )
        return held.missing(f"{missing}; the claim needs batch 1 without optimisation")
    times = [seconds(row.estimate.value) for row in (regime.teacher, regime.student)]
    sentence = f"{times[0]} against {times[1]} for an image ({regime.name}): {interval(regime.speedup)} times"
    part = held.part(regime.speedup, sentence, tuple({regime.teacher.file, regime.student.file}))
    return replace(part, why=part.why + _range(regime, found) + (_machine(regime, full) if full else ""))


def _range(regime: Regime, found: list[Regime]) -> str:
    """The other regimes in few words: this claim's number never stands alone."""
    alike = [r for r in found if _setting(r) == _setting(regime)]
    others = sorted((r for r in alike if r is not regime), key=lambda r: r.speedup.value)
    if not others:
        return "; no other regime was timed"
    ends = [f"{number(r.speedup.value)} ({r.short})" for r in (others[0], others[-1])]
    return (
        f"; in other regimes {ends[0]}" if len(others) == 1 else f"; in other regimes {ends[0]} to {ends[1]}"
    )


def _setting(regime: Regime) -> tuple[str | None, int]:
    """What other regimes must share to stand in one range."""
    return size_of(regime.student.model), regime.student.ar_steps


def _machine(regime: Regime, paper: Paper) -> str:
    accelerator = str(paper.content["full_scale"]["accelerator"])
    return (
        ""
        if accelerator in regime.device
        else f"; the paper's machine is one {accelerator}, and the ratio depends on it"
    )


def _beside(regime: Regime | None, found: list[Regime]) -> list[str]:
    """What the speed-up is made of, the other regimes of the same model, and the claim's regime of other models."""
    others = [r for r in found if r is not regime]
    alike = [r for r in others if regime and _setting(r) == _setting(regime)]
    lines = [f"{r.short}: {interval(r.speedup)} times." for r in alike]
    lines += [f"{r.name}: {interval(r.speedup)} times." for r in others if r not in alike and r.is_claimed]
    sentence = split(regime) if regime else ""
    return [sentence, *lines] if sentence else lines
