"""The distillation objectives by name: each is a module with a function `terms(scores, distance)`.

`scores` are `objectives.scores.Scores`; the answer has named losses, one value per sample. Presets name objectives, so that
modules are imported where they are used.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Objective:
    """Where an objective is defined, and whether it asks for `scores.auxiliary`, so that this network is trained."""

    module: str
    has_auxiliary: bool = True


OBJECTIVES = {
    "gsim": Objective("marval.objectives.gsim"),
    "sim": Objective("marval.objectives.sim"),
    "dmd": Objective("marval.objectives.dmd"),
    "regression": Objective("marval.objectives.regression", has_auxiliary=False),
    "energy": Objective("marval.objectives.energy", has_auxiliary=False),
}
