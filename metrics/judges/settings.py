"""Section `judges` of a preset, as the registry of judges has it."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Tag, create_model

from metrics.judges.registry import MINIATURE


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["miniature", "published"]


_fields: dict[str, Any] = {
    record.name: (record.config, record.config()) for record in MINIATURE if record.config
}
JudgesConfig: Any = create_model(
    "JudgesConfig",
    __base__=_Section,
    __doc__="Settings of the miniature judges, one section each.",
    kind=(Literal["miniature"], "miniature"),
    **_fields,
)


class PublishedJudgesConfig(_Section):
    """The published judges have no settings: their weights are theirs."""

    kind: Literal["published"]


def _kind(section: Any) -> Any:
    return section.get("kind", "miniature") if isinstance(section, dict) else getattr(section, "kind", None)


AnyJudgesConfig = Annotated[
    Annotated[JudgesConfig, Tag("miniature")] | Annotated[PublishedJudgesConfig, Tag("published")],
    Discriminator(_kind),
]
