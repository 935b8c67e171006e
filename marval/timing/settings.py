"""Settings of what is timed: the sections `speed` and `latency` of a preset."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from marval.config import Config, Name, Positive
from marval.models.settings import MARConfig, TokenizerConfig
from marval.sampling.settings import InnerSampling

Mode = Literal["eager", "optimised"]
BOTH: list[Mode] = ["eager", "optimised"]


class SpeedConfig(Config):
    """Section `speed`: which variants are timed, in turn, at which batch sizes, by which samplers."""

    variants: list[str] = Field(min_length=1)
    batches: list[Positive] = Field(min_length=1)
    modes: list[Mode] = Field(BOTH, min_length=1)
    repetitions: int = Field(
        ge=3, le=1000, description="timed rounds; each times every variant in every mode once"
    )
    budget_seconds: float | None = Field(
        None, gt=0, description="no further round of a batch size after this time; null: all rounds"
    )
    threads: int = Field(1, gt=0)


class LatencyRegime(Config):
    """What is timed together: every variant and mode in turn, model by model and batch by batch."""

    models: list[str] = Field(min_length=1)
    ar_steps: int = Field(gt=0)
    batches: list[Positive] = Field(min_length=1)


class LatencyScale(Config):
    """The measurements for one kind of machine."""

    note: str | None = Field(None, description="printed and kept with every row: how this is reduced")
    precision: Literal["fp32", "bf16"]
    models: dict[Name, MARConfig] = Field(min_length=1)
    regimes: list[LatencyRegime] = Field(min_length=1)
    repetitions: int = Field(ge=3, le=1000, description="timed rounds at most")
    budget_seconds: float = Field(gt=0, description="no further round of a batch size after this time")

    @model_validator(mode="after")
    def _models_exist(self) -> LatencyScale:
        for regime in self.regimes:
            for name in regime.models:
                if name not in self.models:
                    raise ValueError(f"regimes name the model {name!r}, which `models` does not define")
                if regime.ar_steps > self.models[name].tokens:
                    raise ValueError(
                        f"ar_steps {regime.ar_steps} is more than the {self.models[name].tokens} tokens of {name}"
                    )
        return self


class LatencyConfig(Config):
    """Section `latency`: networks with random weights, because time does not depend on the weights."""

    tokenizer: TokenizerConfig
    variants: dict[Name, InnerSampling] = Field(min_length=1)
    modes: list[Mode] = Field(BOTH, min_length=1)
    gpu: LatencyScale
    cpu: LatencyScale = Field(description="where there is no GPU")
    threads: int = Field(1, gt=0)
