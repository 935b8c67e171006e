"""Guided score implicit matching of a one-step student (MARVAL, section 3): the equations are in `objectives.gsim`.

The student is a copy of the teacher whose head is evaluated once, at a fixed noise level, and converted to x0. The auxiliary
score network is a copy of the teacher's head that is trained on the student's samples; its context is the frozen teacher's
condition z (or the student's own, as an ablation). At each step one real batch is masked and all masked tokens are generated at
once; the auxiliary network is updated first, on the same samples as the student after it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from importlib import import_module

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from marval.batches import Share
from marval.data.latents import LatentBatches
from marval.methods.masked import Levels, MaskedBatch, draw_levels, draw_masked, embed_times
from marval.methods.settings import DistillTraining, DistillVariant
from marval.models.head import DenoisingHead
from marval.models.mar import MAR
from marval.models.transformer import checkpoint_blocks
from marval.noise.conversions import x0_from_noise
from marval.noise.schedule import NoiseSchedule
from marval.objectives.gsim import Scores, denoising_loss, x0_weight
from marval.objectives.guidance import guided
from marval.objectives.registry import OBJECTIVES
from marval.training.loop import Update
from marval.training.optimisation import averaged, build_optimiser


@dataclass(frozen=True)
class StudentSamples:
    """One step's samples and what both losses need with them; T tokens."""

    x0: Tensor  # (T, C), carries the student's graph
    z_student: Tensor  # (T, D), detached
    z_teacher: Tensor  # (T, D)
    z_null: Tensor  # (T, D), the teacher's without class


@dataclass(frozen=True)
class DistillBatch:
    """The images of a step and all its noise; the samples are computed when the first update asks for them."""

    images: MaskedBatch
    start: Tensor  # (T, C), the student's noise
    auxiliary: list[Levels]  # for each update of the auxiliary network
    student: Levels
    generate: Callable[[MaskedBatch, Tensor], StudentSamples]

    @cached_property
    def samples(self) -> StudentSamples:
        return self.generate(self.images, self.start)


class DistillMethod:
    """Two updates a step: the auxiliary network on the student's samples, then the student."""

    def __init__(
        self,
        config: DistillTraining,
        variant: DistillVariant,
        teacher: MAR,
        data: LatentBatches,
        one_step_t: int,
        student: MAR | None = None,
    ) -> None:
        """All on the teacher's device. `one_step_t`: noise level of the student's head. `student`: the network to train, from
        outside; by default a copy of the teacher."""
        self.config, self.variant, self.data, self.batch = config, variant, data, config.batch
        self.one_step_t = one_step_t
        self.objective = import_module(OBJECTIVES[variant.objective])
        self.schedule = NoiseSchedule.full(teacher.mask_token.device)
        self.teacher = teacher.eval().requires_grad_(False)
        self.student = (student or copy.deepcopy(teacher)).requires_grad_(variant.trained == "whole")
        self.student.head.requires_grad_(True)
        checkpoint_blocks(self.student, config.scale.activation_checkpointing)
        self.auxiliary = copy.deepcopy(teacher.head).requires_grad_(True)
        self.average: AveragedModel = averaged(self.student, config.ema)
        self.ema = {"student": (self.average, self.student)}
        optimiser, settings = build_optimiser(self.auxiliary, config.auxiliary), config.auxiliary
        self.auxiliary_updates = [
            Update(
                "auxiliary", self.auxiliary, optimiser, partial(self.auxiliary_loss, number=number), settings
            )
            for number in range(config.auxiliary_updates)
        ]
        of_student = build_optimiser(self.student, config.student)
        self.updates = [
            *self.auxiliary_updates,
            Update("student", self.student, of_student, self.student_loss, config.student),
        ]

    def draw(self, share: Share) -> DistillBatch:
        images = draw_masked(self.data, share, self.config.masking)
        count, channels = images.masked_count, self.student.config.channels
        start = share.randn(share.total, count, channels).flatten(0, 1)
        low, high = self.config.t_low, self.config.t_high
        *auxiliary, student = (draw_levels(share, count, channels, low, high) for _ in self.updates)
        return DistillBatch(images, start, auxiliary, student, self.generate)

    def generate(self, images: MaskedBatch, start: Tensor) -> StudentSamples:
        """All masked tokens at once, in one evaluation of the student's head."""

        def condition(model: MAR, embedding: Tensor) -> Tensor:
            return images.masked_rows(model(images.tokens, images.masked, embedding, images.masked_count))

        with torch.no_grad():
            z_teacher = condition(self.teacher, self.teacher.class_condition(images.labels))
            z_null = condition(self.teacher, self.teacher.null_condition(len(images.labels)))
        z = condition(self.student, self.student.class_condition(images.labels))
        t, head = self.one_step_t, self.student.head
        time = head.time_embed(self.schedule.timesteps[t : t + 1])
        noise = _noise(head, start, time, z)
        x0 = x0_from_noise(start, noise, self.schedule.alpha[t], self.schedule.sigma[t])
        return StudentSamples(x0, z.detach(), z_teacher, z_null)

    def _context(self, samples: StudentSamples) -> Tensor:
        return samples.z_teacher if self.variant.auxiliary_context == "teacher" else samples.z_student

    def auxiliary_loss(self, batch: DistillBatch, number: int = 0) -> dict[str, Tensor]:
        self.auxiliary.requires_grad_(True)
        samples, levels = batch.samples, batch.auxiliary[number]
        x_t = levels.diffuse(samples.x0.detach(), self.schedule)
        time = embed_times(self.auxiliary, levels.t)
        prediction = _noise(self.auxiliary, x_t, time, self._context(samples))
        return {"loss_auxiliary": denoising_loss(prediction, levels.noise)}

    def student_loss(self, batch: DistillBatch) -> dict[str, Tensor]:
        self.auxiliary.requires_grad_(False)
        samples, t, head = batch.samples, batch.student.t, self.teacher.head
        x_t = batch.student.diffuse(samples.x0, self.schedule)
        auxiliary = _noise(self.auxiliary, x_t, embed_times(self.auxiliary, t), self._context(samples))
        time = embed_times(head, t)
        conditional, unconditional = (_noise(head, x_t, time, z) for z in (samples.z_teacher, samples.z_null))
        teacher = guided(conditional, unconditional, self.variant.guidance)
        weight = x0_weight(self.schedule.alpha[t], self.schedule.sigma[t], self.config.weight_limit)[:, None]
        scores = Scores(auxiliary, teacher, batch.student.noise, weight)
        return self.objective.terms(scores, self.variant.distance)


def _noise(head: DenoisingHead, x_t: Tensor, time: Tensor, z: Tensor) -> Tensor:
    """The head's noise prediction `(T, C)`, from embedded times, in full precision: the losses take differences of these."""
    return head.forward_embedded(x_t, time, head.cond_embed(z))[..., : head.channels].float()
