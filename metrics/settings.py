"""How samples are scored. Free of torch: a preset is checked without loading it."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Order = Literal["shuffled-2020", "as-given"]


class DistanceSettings(BaseModel):
    """How the metrics of sets are taken; recorded in every measurement's protocol."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    inception_splits: int = Field(default=10, ge=1, le=1000)
    inception_order: Order = Field(
        default="shuffled-2020",
        description="torch-fidelity shuffles (seed 2020) before it splits; ADM splits in the given order, "
        "which lowers the score of batches that are ordered by class",
    )
    neighbours: int = Field(
        default=3, ge=1, le=100, description="k of precision, recall, density and coverage"
    )


class EvaluationSettings(BaseModel):
    """How samples are scored; the parts that change a value are recorded in every protocol."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    distances: DistanceSettings = DistanceSettings()
    resamples: int = Field(
        default=1000, ge=100, le=100_000, description="bootstrap resamples for the interval of a mean"
    )
    half_samples: int | None = Field(
        default=None,
        ge=4,
        le=10_000,
        description="random halves for the interval of a set-level metric; null: 30, or 6 for a judge of many features",
    )
    frechet_points: int | None = Field(
        default=None,
        ge=3,
        le=100,
        description="sample counts for the extrapolated Frechet distance; null: 8, or 5 for a judge of many features",
    )
    seed: int = Field(default=0, ge=0, lt=2**31, description="of bootstrap and halves")
    batch: int = Field(default=256, ge=1, le=65_536)
    crop: str | None = Field(
        default=None,
        description="how the reference was cropped, where its file does not tell; recorded, not done here",
    )
