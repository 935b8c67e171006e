"""Which variant plays which part in a preset: the roles that settings.json gives, asked by every claim, table and figure.

A variant's name is free: what a variant is, its role says, and nothing in this package reads it off the name.
"""

from __future__ import annotations

from enum import StrEnum
from functools import cached_property
from typing import Any

REAL = "real"  # held-out real images, scored as if they were samples; no variant of a preset


class Role(StrEnum):
    """The part of a variant; tables of paper.yaml name their rows' roles with the same words."""

    TEACHER = "teacher"  # the teacher in its standard setting; several differ in diffusion steps alone
    STUDENT = "student"  # the distilled model that the claims are about: exactly one
    GUIDANCE = "guidance"  # as the student, distilled with another guidance scale
    ORDER = "order"  # the model of the student or of a teacher, in another unmasking order
    FRONTIER = "frontier"  # as the student, at a guidance scale between the grid's: what reward fine-tuning is compared with
    REINFORCED = "reinforced"  # the student after reward fine-tuning: at most one
    RIVAL = "rival"  # what a user would take instead of the student, or of reward fine-tuning
    ABLATION = "ablation"  # anything else


SINGLE = (Role.STUDENT, Role.REINFORCED)


class Roles:
    """The variants of one preset's resolved settings by their roles, in the settings' order; empty without settings."""

    def __init__(self, settings: dict[str, Any]) -> None:
        """Raises ValueError or LookupError for settings without a known role in each variant, or with a second student."""
        timed_alone: dict[str, Any] = settings.get("latency") or {}
        self.variants: dict[str, dict[str, Any]] = (
            settings.get("variants") or timed_alone.get("variants") or {}
        )
        self._roles = {name: Role(variant["role"]) for name, variant in self.variants.items()}
        seeds, teachers = settings.get("seeds") or [], settings.get("teacher_seeds") or []
        # {seed of a student: seed of its teacher}
        self.taught_by: dict[int, int] = dict(zip(seeds, teachers, strict=False))
        self._distilled = (settings.get("distill") or {}).get("variants") or {}
        for role in SINGLE:
            if len(self.named(role)) > 1:
                raise ValueError(f"{len(self.named(role))} variants have the role {role}, which one may have")

    def of(self, variant: str) -> Role | None:
        """None for real images and for a variant that the settings do not know."""
        return self._roles.get(variant)

    def named(self, *roles: Role) -> list[str]:
        """The variants that have one of these roles, role by role."""
        return [name for role in roles for name, own in self._roles.items() if own is role]

    def the(self, role: Role) -> str:
        """The one variant that has this role; LookupError where there is none."""
        return self.named(role)[0]

    def missing(self, roles: list[str]) -> list[Role]:
        """Those of the roles that no variant has."""
        return [role for role in map(Role, roles) if not self.named(role)]

    @cached_property
    def teachers(self) -> dict[int, str]:
        """{diffusion steps: teacher}, most steps first."""
        steps = {int(self.variants[name]["diffusion_steps"]): name for name in self.named(Role.TEACHER)}
        return dict(sorted(steps.items(), reverse=True))

    def pair(self, steps: int) -> list[str]:
        """The teacher of so many diffusion steps and the student, as far as there are such variants."""
        teacher = [self.teachers[steps]] if steps in self.teachers else []
        return [*teacher, *self.named(Role.STUDENT)]

    @cached_property
    def guidance_grid(self) -> dict[float, str]:
        """{guidance scale of distillation: variant}, the student among them, smallest scale first."""
        return self._by_guidance(Role.STUDENT, Role.GUIDANCE)

    @cached_property
    def guidance_frontier(self) -> dict[float, str]:
        """The same with the scales between the grid's."""
        return self._by_guidance(Role.STUDENT, Role.GUIDANCE, Role.FRONTIER)

    def _by_guidance(self, *roles: Role) -> dict[float, str]:
        names = [v for v in self.named(*roles) if self.model(v) in self._distilled]
        return dict(sorted((float(self._distilled[self.model(v)]["guidance"]), v) for v in names))

    def orders(self, variant: str) -> dict[str, str]:
        """{unmasking order: variant} of what differs from one variant in the order alone, its own order first."""
        found = {str(self.variants[variant]["order"]): variant}
        for name in self.differing_in("order", variant):
            if self.of(name) is Role.ORDER:
                found.setdefault(str(self.variants[name]["order"]), name)
        return found

    @property
    def ordered_teacher(self) -> str | None:
        """The teacher of most diffusion steps that is sampled in other orders too."""
        return next((name for name in self.teachers.values() if len(self.orders(name)) > 1), None)

    def differing_in(self, setting: str, variant: str) -> list[str]:
        """The variants, itself among them, that make images as `variant` does but for one setting; how many images there are, and
        of which seeds, does not count."""
        ignored = {setting, "role", "seeds", "sets"}

        def rest(name: str) -> dict[str, Any]:
            return {key: value for key, value in self.variants[name].items() if key not in ignored}

        return [name for name in self.variants if rest(name) == rest(variant)]

    def model(self, variant: str) -> str:
        """The model that a variant samples from; empty where only time is measured."""
        return str(self.variants[variant].get("model", ""))

    @property
    def models(self) -> list[str]:
        """The models of teacher, student and reinforced variant."""
        names = self.named(Role.TEACHER, Role.STUDENT, Role.REINFORCED)
        return list(dict.fromkeys(self.model(name) for name in names))
