"""Settings of sampling: what the variants of a preset share, and what one of them is."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field

from marval.config import Config, Seed, Seeds
from marval.masking.settings import OrderLaw
from marval.noise import TRAINING_STEPS


class Role(StrEnum):
    """What a variant is to the claims; reports know variants by this alone, never by their names."""

    TEACHER = "teacher"  # the teacher's chain; variants differ by diffusion_steps, 1 is its head used once, undistilled
    STUDENT = "student"  # the distilled model that the claims are about
    GUIDANCE = "guidance"  # another w of the distillation grid
    ORDER = "order"  # the teacher's or the student's model in another order
    FRONTIER = "frontier"  # a w between the grid's, for the comparison with reward fine-tuning
    REINFORCED = "reinforced"  # the student after reward fine-tuning
    ABLATION = "ablation"  # everything else


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


class SampleVariant(Config):
    """One way to make images: which model, how many diffusion steps for a token, guidance, AR steps, order."""

    role: Role
    model: str
    diffusion_steps: int = Field(ge=1, le=TRAINING_STEPS, description="1: the head once, converted to x0")
    guidance: float = Field(1.0, ge=0, le=20)
    ar_steps: int = Field(gt=0)
    order: OrderLaw = OrderLaw.RANDOM
    seeds: Seeds | None = Field(None, description="default: the model's")


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
