"""Settings of sampling: what the variants of a preset share, and what one of them is."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, Self

from pydantic import Field, model_validator

from marval.config import Config, Seed, Seeds
from marval.masking.settings import OrderLaw
from marval.noise import TRAINING_STEPS
from marval.sampling.registry import ANCESTRAL, SOLVERS


class Role(StrEnum):
    """What a variant is to the claims; reports know variants by this alone, never by their names."""

    TEACHER = "teacher"  # the teacher's chain; variants differ by diffusion_steps, 1 is its head used once, undistilled
    STUDENT = "student"  # the distilled model that the claims are about
    GUIDANCE = "guidance"  # another w of the distillation grid
    ORDER = "order"  # the teacher's or the student's model in another order
    FRONTIER = "frontier"  # a w between the grid's, for the comparison with reward fine-tuning
    REINFORCED = "reinforced"  # the student after reward fine-tuning
    RIVAL = "rival"  # what a user would take instead: another sampler of the teacher, another objective, best of several
    ABLATION = "ablation"  # everything else


class Annealing(StrEnum):
    """How the diffusion steps fall from the first AR step to the last (DiSA, arXiv 2505.20297)."""

    LINEAR = "linear"
    COSINE = "cosine"
    TWO_STAGE = "two-stage"  # many in the first half of the AR steps, few in the second


class SampleConfig(Config):
    """What all variants of a preset share when they are sampled."""

    images: int = Field(ge=10, description="for each seed, balanced over the classes")
    batch: int = Field(gt=0)
    temperature: float = Field(1.0, gt=0, le=2)
    chain_start: int = Field(
        TRAINING_STEPS - 1, gt=0, lt=TRAINING_STEPS, description="first t of the diffusion chain"
    )
    precision: Literal["fp32", "bf16"] = Field("fp32", description="of the networks' arithmetic")
    threads: int = Field(1, gt=0)


class InnerSampling(Config):
    """How a token is drawn, given its condition: sampler, diffusion steps, guidance."""

    role: Role
    diffusion_steps: int = Field(
        ge=1,
        le=TRAINING_STEPS,
        description="1: the head once, converted to x0; of the first AR step, if annealed",
    )
    guidance: float = Field(1.0, ge=0, le=20, description="other than 1: two branches")
    sampler: str = Field(ANCESTRAL, description="ancestral, or a name in sampling.registry")
    last_diffusion_steps: int | None = Field(
        None, ge=1, description="of the last AR step; null: as many as of the first"
    )
    annealing: Annealing = Annealing.LINEAR

    @model_validator(mode="after")
    def _can_be_run(self) -> Self:
        if self.sampler not in (valid := (ANCESTRAL, *SOLVERS)):
            raise ValueError(
                f"sampler is {self.sampler!r}, which is not defined: use one of {', '.join(valid)}"
            )
        last, first = self.last_diffusion_steps, self.diffusion_steps
        if last is not None and last >= first:
            raise ValueError(f"last_diffusion_steps is {last}, not fewer than diffusion_steps, {first}")
        if last == 1 and self.sampler == ANCESTRAL:
            raise ValueError("last_diffusion_steps is 1, but an ancestral chain has at least 2 steps")
        return self


class SampleVariant(InnerSampling):
    """One way to make images: which model, how a token is drawn, AR steps, order, and how many are drawn for one that is kept."""

    model: str
    ar_steps: int = Field(gt=0)
    order: OrderLaw = OrderLaw.RANDOM
    best_of: int = Field(
        1, ge=1, le=1000, description="images drawn for each that is kept, the best by the training reward"
    )
    seeds: Seeds | None = Field(None, description="default: the model's")
    sets: int = Field(
        1,
        ge=1,
        le=100,
        description="of sample.images each, for a seed; scores are means over them, as of one set but with less sampling error",
    )


class InpaintConfig(Config):
    """Section `inpaint`: which variants fill in parts of held-out images, in the models of their first seed."""

    variants: list[str] = Field([], description="a teacher and the student, to be compared")
    draws: int = Field(1, gt=0, description="fillings of each image and mask")


class ShowcaseConfig(Config):
    """Section `showcase`: whose images grow and fill gaps in the report."""

    model: str
    seed: Seed = 0
    ar_steps: int = Field(gt=0)
    variant: str = Field(description="whose samples are held against the training images")
