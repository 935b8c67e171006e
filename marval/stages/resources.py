"""What a stage may use of a machine: section `resources` of a preset, for whoever deals machines out (Snakemake, Slurm).

None of it is a parameter of a stage: results do not depend on it, and changing it runs nothing again.
"""

from __future__ import annotations

from pydantic import Field

from marval.config import Config


class StageResources(Config):
    """Of one stage; what is not given is as in `default`."""

    gpus: int | None = Field(
        None, ge=0, le=64, description="of one machine, shared by the stage's processes; null: what there is"
    )
    cpus: int | None = Field(None, gt=0, le=1024, description="cores on a cluster; null: the stage's threads")
    memory_gb: float = Field(1.5, gt=0, le=4096, description="host memory; a miniature stage peaks at 1.2 GB")
    hours: float = Field(1.0, gt=0, le=10_000, description="after which a cluster may end it")

    def over(self, default: StageResources) -> StageResources:
        """These values where they are given, else those of `default`."""
        given = {name: getattr(self, name) for name in self.model_fields_set}
        return default.model_copy(update=given)


class Resources(Config):
    """Section `resources`: `default` for all stages, and what single stages need beyond."""

    default: StageResources = StageResources()
    prepare: StageResources = StageResources()
    tokenizer: StageResources = StageResources()
    official: StageResources = StageResources()
    encode: StageResources = StageResources()
    judges: StageResources = StageResources()
    published: StageResources = StageResources()
    teacher: StageResources = StageResources()
    distill: StageResources = StageResources()
    reinforce: StageResources = StageResources()
    sample: StageResources = StageResources()
    evaluate: StageResources = StageResources()
    calibrate: StageResources = StageResources()
    showcase: StageResources = StageResources()
    speed: StageResources = StageResources()
    report: StageResources = StageResources()
    latency: StageResources = StageResources()
    latency_report: StageResources = StageResources()

    def of(self, stage: str) -> StageResources:
        """What a stage of dvc.yaml may use; stages without an entry get the default."""
        return getattr(self, stage, self.default).over(self.default)
