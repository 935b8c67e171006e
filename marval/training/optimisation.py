"""Optimizers, learning rates and averaged weights, as MAR trains (paper's page: AdamW, decay groups, warm-up)."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from marval.training.settings import OptimiserConfig


def decay_groups(module: nn.Module, weight_decay: float, exempt: Iterable[nn.Module] = ()) -> list[dict]:
    """AdamW's parameter groups: no decay on biases, norms, single vectors, and the parameters of `exempt` modules."""
    exempt_ids = {id(p) for m in exempt for p in m.parameters()}
    trained = [(name, p) for name, p in module.named_parameters() if p.requires_grad]
    plain = [p for name, p in trained if p.ndim <= 1 or name.endswith("bias") or id(p) in exempt_ids]
    plain_ids = {id(p) for p in plain}
    decayed = [p for _, p in trained if id(p) not in plain_ids]
    return [{"params": plain, "weight_decay": 0.0}, {"params": decayed, "weight_decay": weight_decay}]


def build_optimiser(
    module: nn.Module, config: OptimiserConfig, exempt: Iterable[nn.Module] = ()
) -> torch.optim.Optimizer:
    """AdamW over the trainable parameters of `module`; one kernel updates all tensors of a group, on the CPU too."""
    groups = [g for g in decay_groups(module, config.weight_decay, exempt) if g["params"]]
    return torch.optim.AdamW(groups, lr=config.lr, betas=config.betas, fused=True)


def rate_factor(step: int, steps: int, settings: OptimiserConfig) -> float:
    """Share of the full learning rate at `step` (0-based) of `steps`."""
    warm = min(1.0, (step + 1) / settings.warmup_steps) if settings.warmup_steps else 1.0
    return warm * (1 - step / steps) if settings.falling else warm


def averaged(module: nn.Module, decay: float) -> AveragedModel:
    """An exponential moving average of the parameters of `module`; it starts as a copy."""
    return AveragedModel(module, multi_avg_fn=get_ema_multi_avg_fn(decay))


def autocast(precision: str, device: torch.device) -> torch.autocast:
    """The context in which losses are computed: `precision` "bf16" or "fp32" of the networks' arithmetic."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")
