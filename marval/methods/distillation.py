"""Distillation of a one-step student (MARVAL, section 3): the equations are in `objectives.gsim` and its rivals.

The student is a copy of the teacher whose head is evaluated once, at a fixed noise level, and converted to x0. The auxiliary
score network, where the objective has one, is a copy of the teacher's head that is trained on the student's samples; its context
is the frozen teacher's condition z (or the student's own, or that of a decoder or a whole transformer that is trained with it).
At each step one real batch is masked and all masked tokens are generated at once; the auxiliary network is updated first, on the
same samples.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import cached_property, partial
from importlib import import_module
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from marval.batches import Share
from marval.methods.masked import Levels, MaskedBatch, draw_levels, draw_masked, embed_times, rows_of
from marval.methods.settings import DistillTraining, DistillVariant
from marval.models.head import DenoisingHead
from marval.models.mar import MAR
from marval.models.transformer import checkpoint_blocks
from marval.noise import TRAINING_STEPS
from marval.noise.conversions import x0_from_noise
from marval.noise.schedule import NoiseSchedule
from marval.objectives.gsim import denoising_loss, x0_weight
from marval.objectives.guidance import guided
from marval.objectives.registry import OBJECTIVES
from marval.sampling.solvers import ddim
from marval.sampling.solvers.levels import even_levels
from marval.sampling.token_samplers import SolverChain
from marval.training.loop import Update
from marval.training.optimisation import averaged, build_optimiser

if TYPE_CHECKING:
    from marval.data.latents import LatentBatches  # reads files by pyarrow

CHAIN_STEPS = 16  # of the teacher's deterministic chain, where an objective asks for its end


@dataclass(frozen=True)
class StudentSamples:
    """One step's samples; T tokens."""

    x0: Tensor  # (T, C)
    z: Tensor  # (T, D), the student's conditions


@dataclass(frozen=True)
class DistillBatch:
    """The images of a step and all its noise; what the networks make of them is computed when an update first asks for it."""

    method: DistillMethod
    images: MaskedBatch
    start: Tensor  # (T, C), the student's noise
    auxiliary: list[Levels]  # for each update of the auxiliary network
    student: Levels
    second: Tensor  # (T, C), noise of a second sample of the student for each condition
    alone: bool  # whether the student's graph may be kept from the first update to the last

    @cached_property
    def encoded(self) -> tuple[Tensor, Tensor]:
        """What the teacher's encoder makes of the known tokens, with and without class."""
        return self.method.teacher_encoded(self.images)

    @cached_property
    def teacher(self) -> tuple[Tensor, Tensor]:
        """The teacher's conditions `(T, D)`, with and without class."""
        with_class, without = (self.method.teacher_decoded(self.images, one) for one in self.encoded)
        return with_class, without

    @cached_property
    def samples(self) -> StudentSamples:
        """For the auxiliary network; where there is one piece, with the student's graph."""
        with torch.set_grad_enabled(self.alone):
            return self.method.generate(self.images, self.start)

    def samples_with_graph(self) -> StudentSamples:
        """For the student."""
        return self.samples if self.alone else self.method.generate(self.images, self.start)


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
        chain_start: int = TRAINING_STEPS - 1,
    ) -> None:
        """All on the teacher's device. `one_step_t`: noise level of the student's head. `student`: the network to train, from
        outside; by default a copy of the teacher. `chain_start`: noise level at which the teacher's chain starts."""
        self.config, self.variant, self.data, self.batch = config, variant, data, config.batch
        self.one_step_t, self.chain_start = one_step_t, chain_start
        objective = OBJECTIVES[variant.objective]
        self.objective = import_module(objective.module)
        self.schedule = NoiseSchedule.full(teacher.mask_token.device)
        self.teacher = teacher.eval().requires_grad_(False)
        self.student = (student or copy.deepcopy(teacher)).requires_grad_(variant.trained == "whole")
        self.student.head.requires_grad_(True)
        checkpoint_blocks(self.student, config.scale.activation_checkpointing)
        original = teacher.head if variant.auxiliary == "head" else teacher
        self.auxiliary: nn.Module = copy.deepcopy(original).requires_grad_(True)
        if isinstance(self.auxiliary, MAR):
            checkpoint_blocks(self.auxiliary, config.scale.activation_checkpointing)
            if variant.auxiliary == "decoder":
                self.auxiliary.freeze_encoder()
        self.auxiliary_weights = [p for p in self.auxiliary.parameters() if p.requires_grad]
        self.average: AveragedModel = averaged(self.student, config.ema)
        self.ema = {"student": (self.average, self.student)}
        optimiser, settings = build_optimiser(self.auxiliary, config.auxiliary), config.auxiliary
        self.auxiliary_updates = [
            Update(
                "auxiliary", self.auxiliary, optimiser, partial(self.auxiliary_loss, number=number), settings
            )
            for number in range(config.auxiliary_updates if objective.has_auxiliary else 0)
        ]
        of_student = build_optimiser(self.student, config.student)
        self.updates = [
            *self.auxiliary_updates,
            Update("student", self.student, of_student, self.student_loss, config.student),
        ]

    def read_ahead(self, share: Share) -> None:
        self.data.read_ahead(rows_of(self.data, share))

    def draw(self, share: Share) -> DistillBatch:
        images = draw_masked(self.data, share, self.config.masking)
        count, channels = images.masked_count, self.student.config.channels
        start = share.randn(share.total, count, channels).flatten(0, 1)
        low, high = self.config.t_low, self.config.t_high
        *auxiliary, student = (draw_levels(share, count, channels, low, high) for _ in self.updates)
        second = share.randn(share.total, count, channels).flatten(0, 1)
        return DistillBatch(self, images, start, auxiliary, student, second, share.alone)

    def generate(self, images: MaskedBatch, start: Tensor) -> StudentSamples:
        """All masked tokens at once, in one evaluation of the student's head."""
        z = images.conditions(self.student, self.student.class_condition(images.labels))
        return StudentSamples(self.one_step(z, start), z)

    def one_step(self, z: Tensor, start: Tensor) -> Tensor:
        """The student's samples `(T, C)` of its conditions `(T, D)` from noise `(T, C)`."""
        t, head = self.one_step_t, self.student.head
        time = head.time_embed(self.schedule.timesteps[t : t + 1])
        noise = _noise(head, start, time, z)
        return x0_from_noise(start, noise, self.schedule.alpha[t], self.schedule.sigma[t])

    @torch.no_grad()
    def teacher_encoded(self, images: MaskedBatch) -> tuple[Tensor, Tensor]:
        """The teacher's encoder output, with and without class."""
        with_class = self.teacher.class_condition(images.labels)
        without = self.teacher.null_condition(len(images.labels))
        return images.encode(self.teacher, with_class), images.encode(self.teacher, without)

    @torch.no_grad()
    def teacher_decoded(self, images: MaskedBatch, encoded: Tensor) -> Tensor:
        """The teacher's conditions of all masked tokens `(T, D)`."""
        return images.decode(self.teacher, encoded)

    def auxiliary_noise(self, batch: DistillBatch, x_t: Tensor, t: Tensor) -> Tensor:
        """The auxiliary network's prediction `(T, C)`."""
        network = self.auxiliary
        if isinstance(network, MAR):
            z = batch.images.decode(network, self._auxiliary_encoded(network, batch))
            return _noise(network.head, x_t, embed_times(network.head, t), z)
        assert isinstance(network, DenoisingHead)
        of_teacher = self.variant.auxiliary_context == "teacher"
        z = batch.teacher[0] if of_teacher else batch.samples.z.detach()
        return _noise(network, x_t, embed_times(network, t), z)

    def _auxiliary_encoded(self, network: MAR, batch: DistillBatch) -> Tensor:
        if self.variant.auxiliary == "decoder":
            return batch.encoded[0]
        return batch.images.encode(network, network.class_condition(batch.images.labels))

    def _train_auxiliary(self, trained: bool) -> None:
        for parameter in self.auxiliary_weights:
            parameter.requires_grad_(trained)

    def auxiliary_loss(self, batch: DistillBatch, number: int = 0) -> dict[str, Tensor]:
        self._train_auxiliary(True)
        levels = batch.auxiliary[number]
        x_t = levels.diffuse(batch.samples.x0.detach(), self.schedule)
        prediction = self.auxiliary_noise(batch, x_t, levels.t)
        return {"loss_auxiliary": denoising_loss(prediction, levels.noise)}

    def student_loss(self, batch: DistillBatch) -> dict[str, Tensor]:
        self._train_auxiliary(False)
        return self.objective.terms(StudentScores(self, batch), self.variant.distance)


@dataclass(frozen=True)
class StudentScores:
    """`objectives.scores.Scores` of one batch."""

    method: DistillMethod
    batch: DistillBatch

    @cached_property
    def samples(self) -> StudentSamples:
        return self.batch.samples_with_graph()

    @property
    def x0(self) -> Tensor:
        return self.samples.x0

    @property
    def noise(self) -> Tensor:
        return self.batch.student.noise

    @property
    def weight(self) -> Tensor:
        schedule, t = self.method.schedule, self.batch.student.t
        return x0_weight(schedule.alpha[t], schedule.sigma[t], self.method.config.weight_limit)[:, None]

    @cached_property
    def _x_t(self) -> Tensor:
        return self.batch.student.diffuse(self.x0, self.method.schedule)

    @cached_property
    def auxiliary(self) -> Tensor:
        return self.method.auxiliary_noise(self.batch, self._x_t, self.batch.student.t)

    @cached_property
    def teacher(self) -> Tensor:
        head = self.method.teacher.head
        time = embed_times(head, self.batch.student.t)
        conditional, unconditional = (_noise(head, self._x_t, time, z) for z in self.batch.teacher)
        return guided(conditional, unconditional, self.method.variant.guidance)

    @cached_property
    def chain(self) -> Tensor:
        """From the noise that the student's samples are made of, at the noise level at which the teacher is sampled."""
        sampler = SolverChain(ddim, even_levels(CHAIN_STEPS, self.method.chain_start))
        head, start, scale = self.method.teacher.head, self.batch.start, self.method.variant.guidance
        with torch.no_grad():
            return sampler(head, *self.batch.teacher, scale, start, start[None, :0])

    @cached_property
    def second(self) -> Tensor:
        return self.method.one_step(self.samples.z, self.batch.second)

    @property
    def real(self) -> Tensor:
        return self.batch.images.masked_rows(self.batch.images.tokens)


def _noise(head: DenoisingHead, x_t: Tensor, time: Tensor, z: Tensor) -> Tensor:
    """The head's noise prediction of x_t, `(R T, C)`, for conditions `(T, D)`, each of which stands for R noise levels.

    From embedded times, and in full precision: the losses take differences of these.
    """
    condition = head.cond_embed(z).repeat(len(x_t) // len(z), 1)  # computed once for all levels
    return head.forward_embedded(x_t, time, condition)[..., : head.channels].float()
