"""Miniature trainings for test_distributed, in the test's own process and, run as a script, in several that are connected.

python miniature.py FOLDER      trains each method on this process's share and leaves what came of it in FOLDER
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from short_trainings import ONE_STEP_T, Brightness

from marval.data.latents import LatentBatches
from marval.masking.law import MaskingLaw
from marval.methods.distillation import DistillMethod
from marval.methods.reinforcement import ReinforceMethod
from marval.methods.settings import (
    DistillTraining,
    DistillVariant,
    ReinforceTraining,
    ReinforceVariant,
    TeacherTraining,
)
from marval.methods.teacher import TeacherMethod
from marval.models.mar import MAR
from marval.models.settings import MARConfig, TokenizerConfig
from marval.models.tokenizer import Tokenizer
from marval.processes.group import gather, here, leave, shard, wait_for_all
from marval.training import checkpoints
from marval.training.checkpoints import CheckpointStore
from marval.training.loop import fit
from marval.training.settings import OptimiserConfig, Scale

STEPS, BATCH = 4, 13
METHODS = ("teacher", "distill", "reinforce")
OPTIMISER = OptimiserConfig(lr=1e-3, betas=(0.0, 0.99), clip=1.0)


class Decoder(torch.nn.Module):
    """An autoencoder's decoder at its smallest; diffusers' takes eight seconds to import, in every process."""

    def __init__(self) -> None:
        super().__init__()
        self.enlarge = torch.nn.ConvTranspose2d(2, 1, 4, stride=2, padding=1)

    def decode(self, latents):
        return SimpleNamespace(sample=self.enlarge(latents).tanh())


def network(dropout: float = 0.0) -> MAR:
    config = MARConfig(
        side=3, channels=2, classes=4, width=16, encoder_blocks=1, decoder_blocks=1, heads=2, buffer_tokens=2,
        dropout=dropout, head={"width": 24, "blocks": 1},
    )  # fmt: skip
    model = MAR(config)
    with torch.no_grad():
        for parameter in model.parameters():  # the zeros of the initialisation hide what is behind them
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model


def latents() -> LatentBatches:
    mean = torch.randn(40, 2, 3, 3)
    return LatentBatches.of(torch.cat([mean, torch.full_like(mean, 0.1)], dim=1), torch.arange(40) % 4)


def teacher(scale: Scale, dropout: float = 0.0) -> TeacherMethod:
    model = network(dropout)
    config = TeacherTraining(
        model=model.config, masking=MaskingLaw(), optimiser=OPTIMISER, steps=STEPS, batch=BATCH, ema=0.9, scale=scale
    )  # fmt: skip
    method = TeacherMethod(config, latents())
    method.model.load_state_dict(model.state_dict())
    return method


def distill(scale: Scale, student: MAR | None = None) -> DistillMethod:
    config = DistillTraining(
        masking=MaskingLaw(), student=OPTIMISER, auxiliary=OPTIMISER, steps=STEPS, batch=BATCH, ema=0.9, t_low=20, t_high=980,
        weight_limit=3.0, auxiliary_updates=2, scale=scale,
    )  # fmt: skip
    return DistillMethod(
        config, DistillVariant(guidance=1.2), network().eval(), latents(), ONE_STEP_T, student
    )


def reinforce(scale: Scale) -> ReinforceMethod:
    """With both regularisers; that of distillation adds the auxiliary network's updates."""
    size = TokenizerConfig(
        image_channels=1, latent_channels=2, channels=[4, 8], layers_per_block=1, norm_groups=4
    )
    tokenizer = Tokenizer(size, Decoder(), torch.zeros(2), torch.ones(2))
    config = ReinforceTraining(optimiser=OPTIMISER, batch=BATCH, ar_steps=4, scale=scale)
    variant = ReinforceVariant(start="marval", steps=STEPS, distillation_weight=1.0, proximity_weight=1.0)
    student = network()
    return ReinforceMethod(
        config, variant, student, tokenizer, Brightness(), ONE_STEP_T, distill(scale, student)
    )


@dataclass
class Trained:
    """What came of a training."""

    rows: list[dict[str, float]]
    weights: torch.Tensor


def build(name: str, scale: Scale) -> Any:
    torch.manual_seed(0)
    return {"teacher": teacher, "distill": distill, "reinforce": reinforce}[name](scale)


def train(method: Any, folder: Path, scale: Scale, steps: int = STEPS) -> Trained:
    rows = fit(method, steps, seed=1, store=CheckpointStore(folder), label="test", log_every=1, scale=scale)
    modules = [
        *{u.name: u.module for u in method.updates}.values(),
        *(a.module for a, _ in method.ema.values()),
    ]
    weights = [p.detach().flatten() for module in modules for p in module.parameters()]
    return Trained(rows, torch.cat(weights))


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    torch.set_deterministic_debug_mode("error")
    checkpoints.SAVE_SECONDS = 0.0
    process = here()
    for name in METHODS:
        done = train(build(name, Scale()), folder / name, Scale())
        torch.save((done.rows, done.weights), folder / f"{name}-{process.index}.pt")
    half = Scale(micro_batch=4)
    whole = train(teacher_with_dropout(), folder / "whole", half)
    train(teacher_with_dropout(), folder / "parts", half, steps=2)
    wait_for_all()
    resumed = train(teacher_with_dropout(), folder / "parts", half)
    rows = gather(torch.arange(10)[torch.tensor(shard(10, 4))].numpy()).tolist()
    summary = {
        "equal": torch.equal(whole.weights, resumed.weights) and whole.rows == resumed.rows,
        "gathered": rows,
        "shard": list(shard(10, 4)),
    }
    torch.save(summary, folder / f"summary-{process.index}.pt")
    leave()


def teacher_with_dropout() -> TeacherMethod:
    torch.manual_seed(0)
    return teacher(Scale(micro_batch=4), dropout=0.2)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
