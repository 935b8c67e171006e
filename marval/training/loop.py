"""One training loop that knows no method.

A method draws a batch for a step and lists its updates: which module, which optimizer, which per-sample loss terms. The loop
seeds, steps, clips, averages, watches for divergence, logs, saves and resumes, on one process or on many, each with its share of
the batch. GSIM's alternating networks are two updates.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from marval.batches import Share, shares
from marval.errors import UserError
from marval.processes.group import gather, here, sum_over_processes
from marval.progress import Progress
from marval.training.checkpoints import CheckpointStore
from marval.training.log import TrainingLog
from marval.training.optimisation import autocast, rate_factor
from marval.training.seeding import seed_dropout, seed_step
from marval.training.settings import OptimiserConfig, Scale

DIVERGED = 1e4  # the losses here are means of order 1 to 100; beyond this a run does not come back

Terms = Mapping[str, Tensor]
Observe = Callable[[int], None]  # called with the number of steps done


@dataclass
class Update:
    """One optimizer step on one module."""

    name: str
    module: nn.Module
    optimiser: torch.optim.Optimizer
    loss: Callable[[Any], Terms]  # batch -> named terms, one value per sample; their means are summed
    settings: OptimiserConfig


class Method(Protocol):
    """What the loop trains."""

    @property
    def batch(self) -> int:
        """Images of a step, on all processes together."""
        ...

    @property
    def updates(self) -> Sequence[Update]:
        """In the order in which they are made at each step."""
        ...

    @property
    def ema(self) -> Mapping[str, tuple[AveragedModel, nn.Module]]:
        """Averages to keep, by name, with the module that each follows."""
        ...

    def draw(self, share: Share) -> Any:
        """A share of a step's batch with all that is random about it, dropout excepted; torch's generators are seeded."""
        ...


@runtime_checkable
class ReadsAhead(Protocol):
    """A method whose data are worth reading while another step is computed."""

    def read_ahead(self, share: Share) -> None:
        """Begin to read what `draw` will ask for, and return; torch's generators are seeded as for it."""
        ...


def fit(
    method: Method,
    steps: int,
    seed: int,
    store: CheckpointStore,
    label: str,
    log_every: int,
    observe: Observe | None = None,
    scale: Scale = Scale(),  # noqa: B008 (immutable)
) -> list[dict[str, float]]:
    """Train for `steps` steps, resuming from `store`; returns the rows of the curve.

    `observe` is called before the first step and with every row of the curve, in the first process alone, which alone saves.
    Raises UserError, naming the loss and the step, when a figure is not finite or a loss explodes; the last good
    checkpoint stays.
    """
    process, log = here(), TrainingLog()
    watch = observe if observe is not None and process.is_first else None
    device = next(method.updates[0].module.parameters()).device
    mine = shares(method.batch, process.count, process.index, scale.micro_batch, device)
    done = _restore(method, log, store, label)
    if watch is not None and done == 0:
        watch(0)
    last_row = log.rows[-1] if log.rows else {}
    with Progress(label, total=steps, unit="step", start=done, shown=process.is_first) as progress:
        for step in range(done, steps):
            if step + 1 < steps and isinstance(method, ReadsAhead):
                for share in mine:
                    seed_step(seed, step + 1)
                    method.read_ahead(share)
            log.add(_train_step(method, mine, scale, seed, step, steps))
            if (step + 1) % log_every == 0 or step + 1 == steps:
                last_row = log.close_row(step + 1)
                last_row |= _ema_distances(method)
                _check_sound(last_row, label, store)
                if watch is not None:
                    watch(step + 1)
                if process.is_first:
                    store.save_if_due(partial(_state, method, log, step + 1))
            progress.advance(1, {k: v for k, v in last_row.items() if k.startswith(("loss", "reward"))})
    return log.rows


def _train_step(
    method: Method, mine: list[Share], scale: Scale, seed: int, step: int, steps: int
) -> dict[str, Tensor]:
    """All updates and averages; this process's part of the logged figures.

    A share is drawn once for all updates, and they share what it computes; a method keeps no graph with one of several (see
    `Share.alone`), so that no two are in memory together.
    """
    figures: dict[str, Tensor] = {}
    batches: dict[int, Any] = {}  # by the share's first image
    for number, update in enumerate(method.updates, 1):
        update.optimiser.zero_grad(set_to_none=True)
        sums: dict[str, Tensor] = {}
        for share in mine:
            if share.first not in batches:
                seed_step(seed, step)
                batches[share.first] = method.draw(share)
            if number == 1 or not share.alone:
                seed_dropout(seed, step, share.first)
            batch = batches[share.first] if number < len(method.updates) else batches.pop(share.first)
            with autocast(scale.precision, share.device):
                terms = {name: values.mean() for name, values in update.loss(batch).items()}
            _backward(torch.stack(list(terms.values())), share)
            for name, value in terms.items():
                sums[name] = sums.get(name, 0) + value.detach() * share.weight
        figures |= {**sums, f"grad_norm_{update.name}": _apply(update, step, steps)}
    for average, module in method.ema.values():
        average.update_parameters(module)
    return figures


def _backward(terms: Tensor, share: Share) -> None:
    """Add the gradient of this share's part of the global mean."""
    loss = terms.sum()
    (loss if share.count == share.total else loss * share.weight).backward()


def _apply(update: Update, step: int, steps: int) -> Tensor:
    """Step the optimizer by the gradients of all processes; this process's part of the gradient's norm."""
    for group in update.optimiser.param_groups:
        base = group.setdefault("base_lr", group["lr"])
        group["lr"] = base * rate_factor(step, steps, update.settings)
    sum_over_processes([p.grad for p in update.module.parameters() if p.grad is not None])
    norm = nn.utils.clip_grad_norm_(update.module.parameters(), update.settings.clip)
    update.optimiser.step()
    return norm.detach() / here().count


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
                f"{label}: {name} is {value:.3g} at step {row['step']}; the last good state is kept in {store.folder}; "
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


def _restore(method: Method, log: TrainingLog, store: CheckpointStore, label: str) -> int:
    state = store.load()
    done = state["step"] if state else 0
    if len(set(gather(np.array([done])).tolist())) > 1:
        raise UserError(
            f"{label}: the processes do not all see the same {store.folder}: put the folder runs on a file system that they share"
        )
    if state is None:
        return 0
    for update in method.updates:
        update.module.load_state_dict(state["updates"][update.name]["module"])
        update.optimiser.load_state_dict(state["updates"][update.name]["optimiser"])
    for name, (average, _) in method.ema.items():
        average.load_state_dict(state["ema"][name])
    log.rows.extend(state["rows"])
    return done
