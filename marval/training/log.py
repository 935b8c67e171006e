"""The figures of a training, averaged over steps and processes, as rows of its curve."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from marval.processes.group import sum_over_processes


@dataclass
class TrainingLog:
    """Means of the logged figures since the last row; rows become the stage's curve."""

    rows: list[dict[str, float]] = field(default_factory=list)
    _sums: dict[str, Tensor] = field(default_factory=dict)
    _count: int = 0

    def add(self, figures: Mapping[str, Tensor]) -> None:
        for name, value in figures.items():
            self._sums[name] = self._sums.get(name, torch.zeros_like(value)) + value
        self._count += 1

    def close_row(self, step: int) -> dict[str, float]:
        """The row of a step, of all processes together: each has logged its part of the global means."""
        means = torch.stack(list(self._sums.values())) / self._count
        sum_over_processes([means])
        self.rows.append({"step": step, **dict(zip(self._sums, means.tolist(), strict=True))})
        self._sums, self._count = {}, 0
        return self.rows[-1]
