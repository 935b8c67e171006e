"""Timings that may be compared: which rows of speed.json differ in the method alone, and what their ratio is made of.

A speed-up is never one number: it is a number for a device, a batch, a mode (eager or optimised) and a number of AR steps. Where
the speed stage counted FLOPs and floors, a speed-up S is split into three factors,

    S = (flops_t / flops_s) x [(floor_t / floor_s) / (flops_t / flops_s)] x [S / (floor_t / floor_s)]

arithmetic that the student does not do, weights that it does not read again, and what neither explains: launches and waiting.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from reports.formats import Speed
from reports.intervals import Estimate, ratio
from reports.results import Results
from reports.roles import Role
from reports.wording import plural

NOTHING = 0.03  # a factor this near to 1 is not worth a word
# the settings of a variant that its time depends on
TIMED_BY = (
    "ar_steps",
    "diffusion_steps",
    "last_diffusion_steps",
    "annealing",
    "sampler",
    "guidance",
    "order",
    "best_of",
)
EAGER = "eager"  # the sampler step by step, as published; the claim's mode


@dataclass(frozen=True)
class Regime:
    """One pair of timings that differ in the method alone, and the speed-up between them; `device` in words."""

    teacher: Speed
    student: Speed
    speedup: Estimate
    device: str

    @property
    def is_claimed(self) -> bool:
        return self.student.batch == 1 and self.student.mode == EAGER

    @property
    def short(self) -> str:
        return f"batch {self.student.batch}, {self.student.mode}"

    @property
    def name(self) -> str:
        row = self.student
        size = size_of(row.model)
        parts = [
            self.short,
            plural(row.ar_steps, "AR step"),
            f"MAR-{size}" if size else "",
            row.dtype,
            self.device,
        ]
        return ", ".join(part for part in parts if part)

    @property
    def floor(self) -> float | None:
        """The speed-up of two samplers that both ran at their floors."""
        return _quotient(self.teacher.floor_seconds, self.student.floor_seconds)

    @property
    def arithmetic(self) -> float | None:
        """The teacher's FLOPs over the student's; without counts, what the floors say."""
        return _quotient(self.teacher.flops, self.student.flops) or self.floor

    @property
    def traffic(self) -> float | None:
        """What weights read from memory again and again add to arithmetic."""
        if self.teacher.flops is None or self.student.flops is None:
            return None
        return _quotient(self.floor, self.arithmetic)

    @property
    def has_traffic(self) -> bool:
        return self.traffic is not None and abs(self.traffic - 1) > NOTHING

    @property
    def overhead(self) -> float | None:
        """What neither explains: launches and waiting."""
        return _quotient(self.speedup.value, self.floor or self.arithmetic)


def regimes(results: Results, teacher_steps: int) -> list[Regime]:
    """Every pair (teacher of `teacher_steps`, student) of equal device, batch, AR steps, mode, number format and size."""

    def key(row: Speed) -> tuple[str, int, int, str, str, str | None]:
        return row.device, row.batch, row.ar_steps, row.mode, row.dtype, size_of(row.model)

    teacher = results.roles.teachers.get(teacher_steps)
    teachers = {key(row): row for row in results.speed if row.variant == teacher}
    students = [row for row in results.speed if results.roles.of(row.variant) is Role.STUDENT]
    pairs = [(teachers[key(row)], row) for row in students if key(row) in teachers]
    found = [Regime(t, s, ratio(t.estimate, s.estimate), results.device(s)) for t, s in pairs]
    return sorted(found, key=_place)


def _place(regime: Regime) -> tuple[str, int, int, bool, int]:
    row = regime.student
    return (
        row.device,
        " BLH".find(size_of(row.model) or " "),
        row.ar_steps,
        row.mode == "optimised",
        row.batch,
    )


def size_of(model: str) -> str | None:
    """B, L or H if the name of a timed model says so; none for a reduced one."""
    words = model.lower().replace("_", "-").split("-")
    names = {"b": "B", "base": "B", "l": "L", "large": "L", "h": "H", "huge": "H"}
    if "reduced" in words or "mar" not in words:
        return None
    return next((names[word] for word in words if word in names), None)


def sizes(results: Results) -> list[str]:
    """The paper's sizes that were timed, smallest first; empty where the models have none of them."""
    found = {size for row in results.speed if (size := size_of(row.model))}
    return sorted(found, key="BLH".index)


def claimed(found: Iterable[Regime], ar_steps: int | None) -> Regime | None:
    """The claim's regime: batch 1, eager, on an accelerator and of size B where there are any, the preset's AR steps."""

    def order(regime: Regime) -> tuple[bool, bool, bool]:
        row = regime.student
        return on_cpu(row), size_of(row.model) not in ("B", None), row.ar_steps != ar_steps

    return min((r for r in found if r.is_claimed), key=order, default=None)


def on_cpu(row: Speed) -> bool:
    return "cpu" in row.device.lower()


def single_image(results: Results, variant: str, size: str | None = None) -> Speed | None:
    """The timing that the paper's Table 1 and Figure 1 have: batch 1, eager."""
    return timed(results, variant, 1, EAGER, size)


def timed(results: Results, variant: str, batch: int, mode: str, size: str | None = None) -> Speed | None:
    """A timing in one regime, for all variants on one device.

    A variant that was not timed stands with the time of one that runs the same steps: time does not depend on weights.
    """
    plain = [row for row in results.speed if row.batch == batch and row.mode == mode]
    device = min({(on_cpu(row), row.device) for row in plain}, default=(True, ""))[1]
    rows = [row for row in plain if row.device == device and row.variant == _timed_as(results, variant)]
    wanted = results.ar_steps(variant)

    def order(row: Speed) -> tuple[bool, bool, int]:
        return size_of(row.model) not in (size or "B", None), row.ar_steps != wanted, row.ar_steps

    return min((r for r in rows if size is None or size_of(r.model) == size), key=order, default=None)


def _timed_as(results: Results, variant: str) -> str:
    names = {row.variant for row in results.speed}
    settings = results.variants.get(variant)
    if variant in names or settings is None:
        return variant
    alike = [
        v for v in sorted(names) if v in results.variants and _steps(results.variants[v]) == _steps(settings)
    ]
    return alike[0] if alike else variant


def _steps(settings: dict[str, object]) -> tuple[object, ...]:
    """The settings that a sampler's time depends on."""
    return tuple(settings.get(key) for key in TIMED_BY)


def _quotient(a: float | None, b: float | None) -> float | None:
    return a / b if a and b else None
