"""The base of every typed setting (unknown keys are refused, values are immutable), and kinds of values that many have."""

from collections import Counter
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

# of presets, variants and models: they become parts of file names, of commands, and of DVC's and Snakemake's names of stages
NAME_PATTERN = r"^[a-z0-9][a-z0-9-]{0,39}$"
NAME_RULE = "a name is 1 to 40 of the characters a-z, 0-9 and -, and does not start with -"


class Config(BaseModel):
    """A group of settings; subclasses live beside the code that they configure."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=(), allow_inf_nan=False)


def _are_different(seeds: list[int]) -> list[int]:
    if twice := [seed for seed, times in Counter(seeds).items() if times > 1]:
        raise ValueError(f"{twice[0]} stands there twice")
    return seeds


Name = Annotated[str, Field(pattern=NAME_PATTERN)]
Positive = Annotated[int, Field(gt=0)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Seeds = Annotated[list[Seed], Field(min_length=1), AfterValidator(_are_different)]
