"""Settings of what is trained: the sections `tokenizer`, `teacher`, `distill` and `reinforce` of a preset."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from marval.config import Config, Seed, Seeds
from marval.errors import nearest, shown
from marval.masking.law import MaskingLaw
from marval.models.settings import MARConfig, TokenizerConfig
from marval.noise import TRAINING_STEPS
from marval.objectives.registry import OBJECTIVES
from marval.objectives.settings import Distance
from marval.training.settings import OptimiserConfig, Scale

SNAPSHOTS = "equal parts of the training; at the beginning of each the weights are kept, to be looked at"


class TokenizerTraining(Config):
    """Settings of the `tokenizer` stage."""

    model: TokenizerConfig
    optimiser: OptimiserConfig
    steps: int = Field(gt=0)
    batch: int = Field(gt=0)
    ema: float = Field(ge=0, lt=1)
    reconstruction_weight: float = Field(gt=0)
    kl_weight: float = Field(ge=0)
    seed: Seed
    threads: int = Field(1, gt=0)


class TeacherTraining(Config):
    """Settings of the `teacher` stage."""

    model: MARConfig
    masking: MaskingLaw
    optimiser: OptimiserConfig
    steps: int = Field(gt=0)
    batch: int = Field(gt=0, description="images of a step, on all processes together")
    diffusion_batch_mul: int = Field(4, gt=0, description="noise levels drawn for each masked token")
    label_drop: float = Field(0.1, ge=0, lt=1)
    ema: float = Field(ge=0, lt=1)
    snapshots: int = Field(4, gt=0, description=SNAPSHOTS)
    scale: Scale = Scale()
    threads: int = Field(1, gt=0, description="of each process")
    processes: int = Field(
        1, gt=0, description="that share the batch on a machine without GPUs; with GPUs there is one for each"
    )


class DistillTraining(Config):
    """Settings of the `distill` stage, common to all variants."""

    masking: MaskingLaw
    student: OptimiserConfig
    auxiliary: OptimiserConfig
    steps: int = Field(gt=0)
    batch: int = Field(gt=0, description="images of a step, on all processes together")
    ema: float = Field(ge=0, lt=1)
    t_low: int = Field(ge=0, lt=TRAINING_STEPS, description="t of the loss is uniform in [t_low, t_high)")
    t_high: int = Field(gt=0, le=TRAINING_STEPS)
    weight_limit: float = Field(gt=0, description="largest sigma / alpha in the loss weight")
    auxiliary_updates: int = Field(
        1, gt=0, le=20, description="of the auxiliary network, for each of the student's"
    )
    snapshots: int = Field(4, gt=0, description=SNAPSHOTS)
    scale: Scale = Scale()
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
    objective: str = Field("gsim", description="the loss: a name in objectives.registry")
    auxiliary: Literal["head", "decoder", "whole"] = Field(
        "head",
        description="decoder: the auxiliary network has a decoder of its own as well, behind the teacher's encoder; whole: both",
    )
    auxiliary_context: Literal["teacher", "student"] = Field(
        "teacher", description="whose conditions an auxiliary head has"
    )
    trained: Literal["whole", "head"] = "whole"
    seeds: Seeds | None = Field(None, description="to train with; default: the preset's")

    @model_validator(mode="after")
    def _one_context(self) -> DistillVariant:
        if self.auxiliary != "head" and self.auxiliary_context == "student":
            raise ValueError(
                f"auxiliary is {self.auxiliary}, which has conditions of its own: leave out auxiliary_context"
            )
        return self

    @field_validator("objective")
    @classmethod
    def _is_registered(cls, name: str) -> str:
        if name not in OBJECTIVES:
            raise ValueError(f"objective is {shown(name)}, which is not defined{nearest(name, OBJECTIVES)}")
        return name


class ReinforceTraining(Config):
    """Settings of the `reinforce` stage, common to all variants."""

    optimiser: OptimiserConfig
    batch: int = Field(gt=0, description="images of a step, on all processes together")
    ar_steps: int = Field(gt=0)
    reward: str = Field(
        "pick_score", description="the judge whose score is raised; it must be differentiable"
    )
    scale: Scale = Scale()
    threads: int = Field(1, gt=0)


class ReinforceVariant(Config):
    """What distinguishes one fine-tuned model from another; the defaults are the paper's method."""

    start: str = Field(description="the distilled variant to start from")
    steps: int = Field(gt=0)
    snapshots: int = Field(4, gt=0, description=f"{SNAPSHOTS}; all judges see them")
    seeds: Seeds | None = Field(None, description="to train with; default: the preset's")
    distillation_weight: float = Field(
        0.0, ge=0, description="weight of the distillation loss beside the reward"
    )
    proximity_weight: float = Field(
        0.0, ge=0, description="weight of ||theta - theta_distilled||^2 beside the reward"
    )
    rewarded_after: int | None = Field(
        None, gt=0, description="AR step whose unfinished image is rewarded; null: the whole"
    )
