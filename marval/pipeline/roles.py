"""Which claims a preset cannot judge, because none of its variants has a role that they need."""

from __future__ import annotations

from pathlib import Path

from marval.pipeline.preset import AnyPreset, LatencyPreset
from marval.pipeline.reading import preset_path, read_yaml

CLAIMS = Path("reports/paper.yaml")  # each claim names the roles that it needs


def warnings(preset: AnyPreset) -> list[str]:
    """A line for each claim that will be "not attempted"; nothing for a preset that only times."""
    if isinstance(preset, LatencyPreset):
        return []
    roles = {variant.role.value for variant in preset.variants.values()}
    lacking = {
        claim["id"]: [role for role in claim.get("roles", []) if role not in roles]
        for claim in read_yaml(CLAIMS)["claims"]
    }
    return [
        f"{preset_path(preset.name)}: no variant has the role {' or '.join(names)}: claim {claim} will not be attempted"
        for claim, names in lacking.items()
        if names
    ]
