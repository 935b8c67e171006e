"""One training loop that knows no method.

A method draws a batch for a step and lists its updates: which module, which optimizer, which per-sample loss terms. The loop
seeds, steps, clips, averages, watches for divergence, logs, saves and resumes. GSIM's alternating networks are two updates.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from marval.errors import UserError
from marval.progress import Progress
from marval.training.checkpoints import CheckpointStore
from marval.training.optimisation import warmup_factor
from marval.training.seeding import seed_step

DIVERGED = 1e4  # the losses here are means of order 1 to 100; beyond this a run does not come back

Terms = Mapping[str, Tensor]
Observe = Callable[[int], Mapping[str, float]]  # number of steps done -> figures that are not losses


@dataclass
class Update:
    """One optimizer step on one module."""

    name: str
    module: nn.Module
    optimiser: torch.optim.Optimizer
    loss: Callable[[Any], Terms]  # batch -> named terms, one value per sample; their means are summed
    clip: float
    warmup_steps: int = 0


class Method(Protocol):
    """What the loop trains."""

    @property
    def updates(self) -> Sequence[Update]:
        """In the order in which they are made at each step."""
        ...

    @property
    def ema(self) -> Mapping[str, tuple[AveragedModel, nn.Module]]:
        """Averages to keep, by name, with the module that each follows."""
        ...

    def draw(self, step: int) -> Any:
        """The batch of a step; may use torch's global generator, which the loop has seeded."""
        ...


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

    def close_row(self, step: int, extra: Mapping[str, float]) -> dict[str, float]:
        means = {name: (total / self._count).item() for name, total in self._sums.items()}
        self._sums, self._count = {}, 0
        self.rows.append({"step": step, **means, **extra})
        return self.rows[-1]


def fit(
    method: Method,
    steps: int,
    seed: int,
    store: CheckpointStore,
    label: str,
    log_every: int,
    observe: Observe | None = None,
) -> list[dict[str, float]]:
    """Train for `steps` steps, resuming from `store`; returns the rows of the curve.

    `observe` may add figures to the row of a step; before the first step it is asked too, for a row of its own.
    Raises UserError, naming the loss and the step, when a figure is not finite or a loss explodes; the last good
    checkpoint stays.
    """
    log = TrainingLog()
    done = _restore(method, log, store)
    if observe is not None and not log.rows:
        log.rows.append({"step": 0, **observe(0)})
    last_row = log.rows[-1] if log.rows else {}
    with Progress(label, total=steps, unit="step", start=done) as progress:
        for step in range(done, steps):
            seed_step(seed, step)
            batch = method.draw(step)
            log.add({k: v for update in method.updates for k, v in _apply(update, batch, step).items()})
            for average, module in method.ema.values():
                average.update_parameters(module)
            if (step + 1) % log_every == 0 or step + 1 == steps:
                seen = observe(step + 1) if observe is not None else {}
                last_row = log.close_row(step + 1, {**_ema_distances(method), **seen})
                _check_sound(last_row, label, store)
                store.save_if_due(partial(_state, method, log, step + 1))
            progress.advance(1, {k: v for k, v in last_row.items() if k.startswith(("loss", "reward"))})
    return log.rows


def _apply(update: Update, batch: Any, step: int) -> dict[str, Tensor]:
    for group in update.optimiser.param_groups:
        base = group.setdefault("base_lr", group["lr"])
        group["lr"] = base * warmup_factor(step, update.warmup_steps)
    terms = {name: values.mean() for name, values in update.loss(batch).items()}
    update.optimiser.zero_grad(set_to_none=True)
    torch.stack(list(terms.values())).sum().backward()
    norm = nn.utils.clip_grad_norm_(update.module.parameters(), update.clip)
    update.optimiser.step()
    figures = {name: value.detach() for name, value in terms.items()}
    return {**figures, f"grad_norm_{update.name}": norm.detach()}


@torch.no_grad()
def _ema_distances(method: Method) -> dict[str, float]:
    """Relative distance of the averaged weights from the current ones, ||ema - w|| / ||w||."""
    distances = {}
    for name, (average, module) in method.ema.items():
        pairs = [(a - b, b) for a, b in zip(average.module.parameters(), module.parameters(), strict=True)]
        apart = torch.stack([d.norm() for d, _ in pairs]).norm()
        distances[f"ema_distance_{name}"] = (apart / torch.stack([w.norm() for _, w in pairs]).norm()).item()
    return distances


def _check_sound(row: Mapping[str, float], label: str, store: CheckpointStore) -> None:
    for name, value in row.items():
        if not math.isfinite(value) or (name.startswith("loss") and abs(value) > DIVERGED):
            raise UserError(
                f"{label}: {name} is {value:.3g} at step {row['step']}; the last good state is kept in {store.path}; "
                "lower the learning rate or the clipping norm of this stage in the preset"
            )


def _state(method: Method, log: TrainingLog, step: int) -> dict[str, Any]:
    return {
        "step": step,
        "rows": log.rows,
        "updates": {
            u.name: {"module": u.module.state_dict(), "optimiser": u.optimiser.state_dict()}
            for u in method.updates
        },
        "ema": {name: average.state_dict() for name, (average, _) in method.ema.items()},
    }


def _restore(method: Method, log: TrainingLog, store: CheckpointStore) -> int:
    state = store.load()
    if state is None:
        return 0
    for update in method.updates:
        update.module.load_state_dict(state["updates"][update.name]["module"])
        update.optimiser.load_state_dict(state["updates"][update.name]["optimiser"])
    for name, (average, _) in method.ema.items():
        average.load_state_dict(state["ema"][name])
    log.rows.extend(state["rows"])
    return state["step"]
