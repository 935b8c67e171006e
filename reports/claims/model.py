"""What a claim's verdict is made of: parts, each with a measured value, its interval and the bound that it is held to."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from reports.intervals import Estimate


class Verdict(StrEnum):
    """What the interval says, never the point alone."""

    REPRODUCED = "reproduced"
    NOT_REPRODUCED = "not reproduced"
    INCONCLUSIVE = "inconclusive"
    NOT_ATTEMPTED = "not attempted"


@dataclass(frozen=True)
class Part:
    """One comparison of a claim.

    A control is no part of the paper's claim but of its meaning (images must still be recognised, say): one that fails turns
    "reproduced" into "inconclusive".
    """

    name: str
    verdict: Verdict
    why: str
    estimate: Estimate | None = None
    bound: float | None = None
    control: bool = False
    files: tuple[Path, ...] = ()


@dataclass
class Claim:
    """One claim with its verdict; `estimate`, `paper` and `quantity` are the headline, `parts` the reasons."""

    entry: dict[str, Any]  # the claim's in paper.yaml
    scope: str
    quantity: str
    paper: float | None
    estimate: Estimate | None
    parts: list[Part]
    beside: list[str] = field(default_factory=list)
    title: str = ""  # the entry's, unless another is given
    at_full_scale: str = ""  # the preset that would test the claim itself, where this one does not

    def __post_init__(self) -> None:
        self.title = self.title or str(self.entry["title"])

    @property
    def id(self) -> str:
        return str(self.entry["id"])

    @property
    def claim(self) -> str:
        return str(self.entry["claim"])

    @property
    def source(self) -> str:
        return str(self.entry["source"])

    @property
    def tolerances(self) -> dict[str, dict[str, Any]]:
        return dict(self.entry["tolerances"])

    @property
    def verdict(self) -> Verdict:
        return combined(self.parts)

    @property
    def why(self) -> str:
        return reason(self.parts, self.verdict)

    @property
    def files(self) -> list[Path]:
        return list(dict.fromkeys(file for part in self.parts for file in part.files))


def combined(parts: list[Part]) -> Verdict:
    """All parts must hold; one that clearly fails decides; an open or missing one, or a failed control, leaves it open."""
    own = [part.verdict for part in parts if not part.control]
    controls = [part.verdict for part in parts if part.control]
    if not own or all(v is Verdict.NOT_ATTEMPTED for v in own):
        return Verdict.NOT_ATTEMPTED
    if Verdict.NOT_REPRODUCED in own:
        return Verdict.NOT_REPRODUCED
    if all(v is Verdict.REPRODUCED for v in own) and Verdict.NOT_REPRODUCED not in controls:
        return Verdict.REPRODUCED
    return Verdict.INCONCLUSIVE


def reason(parts: list[Part], verdict: Verdict) -> str:
    """One plain sentence: the part that decided, and how many others did as it did."""
    own = [part for part in parts if not part.control]
    match verdict:
        case Verdict.REPRODUCED:
            deciding, does = own, "hold"
        case Verdict.NOT_REPRODUCED:
            deciding, does = [p for p in own if p.verdict is verdict], "fail"
        case Verdict.INCONCLUSIVE:
            undecided = [p for p in own if p.verdict in (Verdict.INCONCLUSIVE, Verdict.NOT_ATTEMPTED)]
            failed_controls = [p for p in parts if p.control and p.verdict is Verdict.NOT_REPRODUCED]
            deciding, does = undecided or failed_controls, "are open" if undecided else "(controls) fail"
        case Verdict.NOT_ATTEMPTED:
            deciding, does = own[:1], ""
    if not deciding:
        return "Nothing was measured."
    first = deciding[0].why.rstrip(".")
    if len(deciding) == 1:
        return f"{first}."
    total = len(parts) if does.startswith("(") else len(own)
    return f"{len(deciding)} of {total} parts {does}, the first: {first}."


def above(estimate: Estimate, bound: float) -> Verdict:
    """Reproduced if the whole interval lies above `bound`, not reproduced if the whole of it lies below."""
    if not estimate.has_interval:
        return Verdict.INCONCLUSIVE
    if estimate.low > bound:
        return Verdict.REPRODUCED
    return Verdict.NOT_REPRODUCED if estimate.high < bound else Verdict.INCONCLUSIVE


def below(estimate: Estimate, bound: float) -> Verdict:
    """The mirror image of `above`."""
    if not estimate.has_interval:
        return Verdict.INCONCLUSIVE
    if estimate.high < bound:
        return Verdict.REPRODUCED
    return Verdict.NOT_REPRODUCED if estimate.low > bound else Verdict.INCONCLUSIVE


def finite(value: float | None) -> float | None:
    """JSON has no nan and no infinity."""
    return value if value is not None and math.isfinite(value) else None
