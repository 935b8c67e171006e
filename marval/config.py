"""The base of every typed setting: unknown keys are refused, values are immutable."""

from pydantic import BaseModel, ConfigDict


class Config(BaseModel):
    """A group of settings; subclasses live beside the code that they configure."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())
