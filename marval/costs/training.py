"""What a training step costs: counted by running the methods' own losses and their backward passes on the meta device.

Batches are drawn by the methods too, at the mean number of masked tokens (operations are all but linear in it: the error is of
0.1 %). What is counted is what a GPU does: fused attention and recomputed activations are in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from marval.batches import Share
from marval.costs.counting import numbers
from marval.costs.gpu import Meter, gpu_arithmetic
from marval.data.latents import LatentBatches
from marval.masking.law import MaskingLaw
from marval.methods.distillation import DistillMethod
from marval.methods.settings import DistillTraining, DistillVariant, TeacherTraining, TokenizerTraining
from marval.methods.teacher import TeacherMethod
from marval.methods.tokenizer import TokenizerMethod
from marval.models.mar import MAR
from marval.models.settings import MARConfig
from marval.training.checkpoints import KEPT
from marval.training.loop import Method
from marval.training.settings import Scale

META = torch.device("meta")
ADAM_BYTES, GRADIENT_BYTES = 8, 4  # of a trained weight: two moments; one gradient
LAW_DRAWS = 4096
ONE_STEP_T = 900  # any noise level costs the same


@dataclass(frozen=True)
class StepCost:
    """One step of training."""

    flops: float  # of all processes together
    peak_bytes: float  # of one process: weights, averages, optimiser, gradients and activations
    checkpoint_bytes: (
        float  # what is saved to resume: all files that are kept, and the next one while it is written
    )


def teacher_step(config: TeacherTraining, processes: int = 1) -> StepCost:
    """MAR training."""
    fixed = config.model_copy(update={"masking": _mean_of(config.masking, config.model.tokens)})
    data = _latents(config.model)
    return measured_step(lambda: TeacherMethod(fixed, data, META), config.scale, processes)


def distill_step(
    config: DistillTraining, variant: DistillVariant, model: MARConfig, processes: int = 1
) -> StepCost:
    """The updates of both networks, and the frozen teacher's two branches."""
    fixed = config.model_copy(update={"masking": _mean_of(config.masking, model.tokens)})
    data = _latents(model)
    return measured_step(
        lambda: DistillMethod(fixed, variant, MAR(model), data, ONE_STEP_T), config.scale, processes
    )


def tokenizer_step(config: TokenizerTraining, size: int) -> StepCost:
    """The autoencoder on images of `size` squared pixels."""
    images = torch.zeros(1, 3, size, size)
    return measured_step(lambda: TokenizerMethod(config, images, META), Scale(), 1)


def measured_step(build: Callable[[], Method], scale: Scale, processes: int) -> StepCost:
    """One share of a step, as the training loop goes through it."""
    meter = Meter(META)
    with gpu_arithmetic(scale.precision == "bf16"), meter:
        with META:
            method = build()
        share = first_share(method.batch, processes, scale)
        drawn = method.draw(share)
        for update in method.updates:
            backward(update.loss(drawn))
    trained = trained_numbers(method)
    # moments are there from the second step on; gradients, while a share is computed, from the second share on
    later = ADAM_BYTES + (0 if share.alone else GRADIENT_BYTES)
    averages = numbers(*(average for average, _ in method.ema.values()))
    return StepCost(
        flops=meter.flops * share.total / share.count,
        peak_bytes=meter.peak + later * trained,
        checkpoint_bytes=(KEPT + 1) * ((4 + ADAM_BYTES) * trained + 4 * averages),
    )


def trained_numbers(method: Method) -> int:
    """How many weights the optimisers update."""
    groups = [group for update in method.updates for group in update.optimiser.param_groups]
    return sum({id(p): p.numel() for group in groups for p in group["params"]}.values())


def backward(terms: Mapping[str, Tensor]) -> None:
    """As the training loop does it."""
    torch.stack([values.mean() for values in terms.values()]).sum().backward()


class _MetaShare(Share):
    def place(self, rows: Tensor) -> Tensor:
        return rows.to(META)


def first_share(batch: int, processes: int, scale: Scale) -> Share:
    """The first micro-batch of a process's part of a batch."""
    count = scale.micro_batches(batch, processes)
    return _MetaShare(0, max(1, batch // (processes * count)), batch, META, count == 1)


class _Fixed(MaskingLaw):
    count: int

    def draw_count(self, tokens: int, generator: torch.Generator | None = None) -> int:
        return self.count


def mean_masked(law: MaskingLaw, tokens: int) -> int:
    """Mean number of masked tokens under the law, of many draws."""
    generator = torch.Generator().manual_seed(0)
    return round(sum(law.draw_count(tokens, generator) for _ in range(LAW_DRAWS)) / LAW_DRAWS)


def _mean_of(law: MaskingLaw, tokens: int) -> _Fixed:
    """A law that always masks the mean number of tokens."""
    return _Fixed(count=mean_masked(law, tokens))


def _latents(model: MARConfig) -> LatentBatches:
    """One image, drawn over and over: on the host, where batches are put together."""
    moments = torch.zeros(1, 2 * model.channels, model.side, model.side)
    return LatentBatches.of(moments, torch.zeros(1, dtype=torch.int64))
