"""What a stage may use of a machine: section `resources` of a preset, for whoever deals machines out (Snakemake, Slurm).

None of it is a setting of a stage: results do not depend on it, and changing it runs nothing again.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from marval.config import Config

DEFAULT = "default"  # the entry for all stages; what single stages need beyond stands under their names


class StageResources(Config):
    """Of one stage; what is not given is as in `default`."""

    gpus: int | None = Field(
        None, ge=0, le=64, description="of one machine, shared by the stage's processes; null: what there is"
    )
    cpus: int | None = Field(None, gt=0, le=1024, description="cores on a cluster; null: the stage's threads")
    memory_gb: float = Field(1.5, gt=0, le=4096, description="host memory; a miniature stage peaks at 1.2 GB")
    # a minute at least: Slurm takes none for no limit
    hours: float = Field(1.0, ge=1 / 60, le=10_000, description="after which a cluster may end it")


def resources_of(section: Mapping[str, StageResources], stage: str) -> StageResources:
    """What a stage of dvc.yaml may use: its own entry over the default's."""
    default, own = section.get(DEFAULT, StageResources()), section.get(stage, StageResources())
    return default.model_copy(update={name: getattr(own, name) for name in own.model_fields_set})
