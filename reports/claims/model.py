"""What a claim's verdict is made of: parts, each with a measured value, its interval and the bound that it is held to."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from reports.intervals import Estimate, quantile

TWO_SIDED = 0.025  # one-sided level of a direction: what a 95% interval gives
NON_INFERIORITY = 0.05  # one-sided level of "not worse than a margin", as usual for such tests
POWER = 0.8


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
    "reproduced" into "inconclusive". `p_fails`: one-sided p-value of the bound being broken, held to `level`; exact quantities
    have 0 or 1. `p_holds`: the same of its being kept. Neither is there where nothing may be decided. `power`: which true values
    the test tells from the bound, in words.
    """

    name: str
    verdict: Verdict
    why: str
    estimate: Estimate | None = None
    bound: float | None = None
    control: bool = False
    files: tuple[Path, ...] = ()
    p_fails: float | None = None
    p_holds: float | None = None
    level: float = TWO_SIDED
    power: str = ""
    side: int | None = None  # 1 if it has to lie above its bound, -1 if below

    def fails_beside(self, others: int) -> bool:
        """Whether it fails also when one failure among so many parts would decide (Holm's first step)."""
        if self.verdict is not Verdict.NOT_REPRODUCED:
            return False
        return self.p_fails is None or self.p_fails <= self.level / max(others, 1)


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
    """All parts must hold; one that clearly fails decides; an open or missing one, or a failed control, leaves it open.

    "Reproduced" needs every part at its own level, so no correction is due. "Not reproduced" follows from any one of m parts,
    so that one must fail at its level over m (Holm, whose first step is all that "any" asks for).
    """
    own = [part for part in parts if not part.control]
    controls = [part.verdict for part in parts if part.control]
    attempted = [part for part in own if part.verdict is not Verdict.NOT_ATTEMPTED]
    if not attempted:
        return Verdict.NOT_ATTEMPTED
    if any(part.fails_beside(len(attempted)) for part in attempted):
        return Verdict.NOT_REPRODUCED
    if all(part.verdict is Verdict.REPRODUCED for part in own) and Verdict.NOT_REPRODUCED not in controls:
        return Verdict.REPRODUCED
    return Verdict.INCONCLUSIVE


def reason(parts: list[Part], verdict: Verdict) -> str:
    """One plain sentence: the part that decided, and how many others did as it did."""
    own = [part for part in parts if not part.control]
    match verdict:
        case Verdict.REPRODUCED:
            deciding, does = own, "hold"
        case Verdict.NOT_REPRODUCED:
            attempted = [p for p in own if p.verdict is not Verdict.NOT_ATTEMPTED]
            deciding, does = [p for p in attempted if p.fails_beside(len(attempted))], "fail"
        case Verdict.INCONCLUSIVE:
            undecided = [p for p in own if p.verdict is not Verdict.REPRODUCED]
            failed_controls = [p for p in parts if p.control and p.verdict is Verdict.NOT_REPRODUCED]
            deciding = undecided or failed_controls
            does = left_open(undecided) if undecided else "(controls) fail"
        case Verdict.NOT_ATTEMPTED:
            deciding, does = own[:1], ""
    if not deciding:
        return "Nothing was measured."
    first = deciding[0].why.rstrip(".")
    if len(deciding) == 1:
        return f"{first}."
    total = len(parts) if does.startswith("(") else len(own)
    return f"{len(deciding)} of {total} parts {does}, the first: {first}."


def left_open(parts: list[Part]) -> str:
    """What is said of the parts that leave a claim open: one that fails alone may not fail clearly enough among several."""
    failing, one = sum(part.verdict is Verdict.NOT_REPRODUCED for part in parts), len(parts) == 1
    if not failing:
        return "is open" if one else "are open"
    if failing == len(parts):
        return f"{'fails' if one else 'fail'}, but not clearly enough among so many"
    return f"are open ({failing} fail{'s' if failing == 1 else ''}, but not clearly enough among so many)"


def above(estimate: Estimate, bound: float, level: float = TWO_SIDED) -> Verdict:
    """Reproduced if the true value is above `bound`, at the one-sided `level`; not reproduced if it is below, at the same."""
    if not estimate.has_interval:
        return Verdict.INCONCLUSIVE
    if estimate.p_above(bound) <= level:
        return Verdict.REPRODUCED
    return Verdict.NOT_REPRODUCED if estimate.p_below(bound) <= level else Verdict.INCONCLUSIVE


def below(estimate: Estimate, bound: float, level: float = TWO_SIDED) -> Verdict:
    """The mirror image of `above`."""
    if not estimate.has_interval:
        return Verdict.INCONCLUSIVE
    if estimate.p_below(bound) <= level:
        return Verdict.REPRODUCED
    return Verdict.NOT_REPRODUCED if estimate.p_above(bound) <= level else Verdict.INCONCLUSIVE


def power_of(estimate: Estimate, bound: float, level: float, is_upper: bool) -> str:
    """From which true values on a test of this standard error decides with a power of 80%, either way."""
    error = estimate.error(bound)
    if not math.isfinite(error):
        return ""
    reach = (quantile(estimate.degrees, 1 - level) + quantile(estimate.degrees, POWER)) * error
    low, high = (
        (bound * math.exp(-reach), bound * math.exp(reach))
        if estimate.is_log
        else (bound - reach, bound + reach)
    )
    holds, fails = (
        (f"below {low:.3g}", f"above {high:.3g}") if is_upper else (f"above {high:.3g}", f"below {low:.3g}")
    )
    return f"holds with {POWER:.0%} power if the truth is {holds}, fails with it {fails}"


def finite(value: float | None) -> float | None:
    """JSON has no nan and no infinity."""
    return value if value is not None and math.isfinite(value) else None
