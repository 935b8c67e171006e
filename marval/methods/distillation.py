"""Guided score implicit matching of a one-step student (MARVAL, section 3): the equations are in `objectives.gsim`.

The student is a copy of the teacher whose head is evaluated once, at a fixed noise level, and converted to x0. The auxiliary
score network is a copy of the teacher's head that is trained on the student's samples; its context is the frozen teacher's
condition z (or the student's own, as an ablation). At each step one real batch is masked and all masked tokens are generated at
once; the auxiliary network is updated first, on the same samples as the student after it.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from marval.config import Config
from marval.data.latents import LatentBatches
from marval.masking import MaskingLaw
from marval.methods.teacher import draw_masked
from marval.models.mar import MAR
from marval.noise.conversions import diffuse, x0_from_noise
from marval.noise.schedule import TRAINING_STEPS, NoiseSchedule
from marval.objectives.gsim import Distance, denoising_loss, gsim_terms, x0_weight
from marval.objectives.guidance import guided
from marval.training.loop import Update
from marval.training.optimisation import OptimiserConfig, averaged, build_optimiser


class DistillTraining(Config):
    """Settings of the `distill` stage, common to all variants."""

    masking: MaskingLaw
    student: OptimiserConfig
    auxiliary: OptimiserConfig
    steps: int = Field(gt=0)
    batch: int = Field(gt=0)
    ema: float = Field(ge=0, lt=1)
    one_step_t: int = Field(ge=0, lt=TRAINING_STEPS, description="noise level of the student's head")
    t_low: int = Field(ge=0, lt=TRAINING_STEPS, description="t of the loss is uniform in [t_low, t_high)")
    t_high: int = Field(gt=0, le=TRAINING_STEPS)
    weight_limit: float = Field(gt=0, description="largest sigma / alpha in the loss weight")
    auxiliary_updates: int = Field(
        1, gt=0, le=20, description="of the auxiliary network, for each of the student's"
    )
    threads: int = Field(1, gt=0)

    @model_validator(mode="after")
    def _t_range(self) -> DistillTraining:
        if self.t_low >= self.t_high:
            raise ValueError(f"t_low {self.t_low} must be below t_high {self.t_high}")
        return self


class DistillVariant(Config):
    """What distinguishes one distilled model from another; the defaults are the paper's method."""

    guidance: float = Field(ge=0, le=20, description="w of the teacher's score, scale convention")
    distance: Distance = Distance.PSEUDO_HUBER
    distribution_term: bool = Field(True, description="L2; False is the ablation without it")
    auxiliary_context: Literal["teacher", "student"] = "teacher"
    trained: Literal["whole", "head"] = "whole"
    seeds: list[int] | None = Field(None, min_length=1, description="to train with; default: the preset's")


@dataclass(frozen=True)
class StudentSamples:
    """One step's samples and what both losses need with them; T tokens."""

    x0: Tensor  # (T, C), carries the student's graph
    z_student: Tensor  # (T, D), detached
    z_teacher: Tensor  # (T, D)
    z_null: Tensor  # (T, D), the teacher's without class


class DistillMethod:
    """Two updates a step: the auxiliary network on the student's samples, then the student."""

    def __init__(
        self,
        config: DistillTraining,
        variant: DistillVariant,
        teacher: MAR,
        data: LatentBatches,
        student: MAR | None = None,
    ) -> None:
        """`student`: the network to train, from outside; by default a copy of the teacher."""
        self.config, self.variant, self.data = config, variant, data
        self.schedule = NoiseSchedule.full()
        self.teacher = teacher.eval().requires_grad_(False)
        self.student = (student or copy.deepcopy(teacher)).requires_grad_(variant.trained == "whole")
        self.student.head.requires_grad_(True)
        self.auxiliary = copy.deepcopy(teacher.head).requires_grad_(True)
        self.average: AveragedModel = averaged(self.student, config.ema)
        self.ema = {"student": (self.average, self.student)}
        train_auxiliary = Update(
            "auxiliary",
            self.auxiliary,
            build_optimiser(self.auxiliary, config.auxiliary),
            self.auxiliary_loss,
            config.auxiliary.clip,
            config.auxiliary.warmup_steps,
        )
        train_student = Update(
            "student",
            self.student,
            build_optimiser(self.student, config.student),
            self.student_loss,
            config.student.clip,
            config.student.warmup_steps,
        )
        self.updates = [*[train_auxiliary] * config.auxiliary_updates, train_student]

    def draw(self, step: int) -> StudentSamples:
        batch = draw_masked(self.data, self.config.batch, self.config.masking)

        def condition(model: MAR, embedding: Tensor) -> Tensor:
            return batch.masked_rows(model(batch.tokens, batch.masked, embedding, batch.masked_count))

        with torch.no_grad():
            z_teacher = condition(self.teacher, self.teacher.class_condition(batch.labels))
            z_null = condition(self.teacher, self.teacher.null_condition(len(batch.labels)))
        z = condition(self.student, self.student.class_condition(batch.labels))
        t = torch.tensor(self.config.one_step_t)
        start = torch.randn(len(z), self.student.config.channels)
        noise = self.student.head.noise(start, t.expand(len(z)), z)
        x0 = x0_from_noise(start, noise, self.schedule.alpha[t], self.schedule.sigma[t])
        return StudentSamples(x0, z.detach(), z_teacher, z_null)

    def _diffuse(self, x0: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(t `(T,)`, noise `(T, C)`, x_t `(T, C)`) with t uniform in the configured range."""
        t = torch.randint(self.config.t_low, self.config.t_high, (len(x0),))
        noise = torch.randn_like(x0)
        return t, noise, diffuse(x0, noise, self.schedule.alpha[t][:, None], self.schedule.sigma[t][:, None])

    def _context(self, samples: StudentSamples) -> Tensor:
        return samples.z_teacher if self.variant.auxiliary_context == "teacher" else samples.z_student

    def auxiliary_loss(self, samples: StudentSamples) -> dict[str, Tensor]:
        self.auxiliary.requires_grad_(True)
        t, noise, x_t = self._diffuse(samples.x0.detach())
        prediction = self.auxiliary.noise(x_t, t, self._context(samples))
        return {"loss_auxiliary": denoising_loss(prediction, noise)}

    def student_loss(self, samples: StudentSamples) -> dict[str, Tensor]:
        self.auxiliary.requires_grad_(False)
        t, noise, x_t = self._diffuse(samples.x0)
        auxiliary = self.auxiliary.noise(x_t, t, self._context(samples))
        conditional = self.teacher.head.noise(x_t, t, samples.z_teacher)
        unconditional = self.teacher.head.noise(x_t, t, samples.z_null)
        teacher = guided(conditional, unconditional, self.variant.guidance)
        weight = x0_weight(self.schedule.alpha[t], self.schedule.sigma[t], self.config.weight_limit)[:, None]
        first, second = gsim_terms(auxiliary, teacher, noise, weight, self.variant.distance)
        return {"loss_l1": first, "loss_l2": second} if self.variant.distribution_term else {"loss_l1": first}
