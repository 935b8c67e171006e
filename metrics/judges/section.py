"""Section `judges` of a preset, as the registry of judges has it."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Tag, create_model

from metrics.judges.registry import MINIATURE, PUBLISHED

STATISTICS = "adm-statistics"  # the entry of the registry of weights that published judges compare with


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["miniature", "published"]


def _default(config: Any) -> tuple[Any, Any]:
    return config, config()


_fields: dict[str, Any] = {record.name: _default(record.config) for record in MINIATURE if record.config}
_fields["kind"] = (Literal["miniature"], "miniature")
JudgesConfig: Any = create_model(
    "JudgesConfig",
    __base__=_Section,
    __doc__="Settings of the miniature judges, one section each.",
    **_fields,
)


class PublishedJudgesConfig(_Section):
    """The published judges have no settings: their weights are theirs."""

    kind: Literal["published"]


def kind(section: Any) -> Any:
    """The tag of an alternative: the key of the same name, which errors about it then name."""
    return section.get("kind", "miniature") if isinstance(section, dict) else getattr(section, "kind", None)


AnyJudgesConfig = Annotated[
    Annotated[JudgesConfig, Tag("miniature")] | Annotated[PublishedJudgesConfig, Tag("published")],
    Discriminator(kind),
]


def weights_of(section: Any) -> list[str]:
    """Entries of the registry of weights that the judges of a section need."""
    if section.kind != "published":
        return []
    return [*(record.weights for record in PUBLISHED if record.weights), STATISTICS]


def rewards_of(section: Any) -> list[str]:
    """Names of the judges of a section that can be a training reward."""
    family = PUBLISHED if section.kind == "published" else MINIATURE
    return [record.name for record in family if record.differentiable]


def image_sizes(section: Any) -> dict[str, int]:
    """The sides of the images that the miniature judges of a section are built for, by judge."""
    configs = {record.name: getattr(section, record.name, None) for record in MINIATURE}
    return {name: config.image_size for name, config in configs.items() if config is not None}
