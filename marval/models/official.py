"""MAR's published parameter names <-> ours. The two differ in one prefix; everything else is the same by design."""

from __future__ import annotations

from torch import Tensor

OFFICIAL_HEAD = "diffloss.net."
OUR_HEAD = "head."


def from_official(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A MAR state dict under our names."""
    return {_swap_prefix(name, OFFICIAL_HEAD, OUR_HEAD): value for name, value in state.items()}


def to_official(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Our state dict under MAR's names."""
    return {_swap_prefix(name, OUR_HEAD, OFFICIAL_HEAD): value for name, value in state.items()}


def _swap_prefix(name: str, old: str, new: str) -> str:
    return new + name.removeprefix(old) if name.startswith(old) else name
