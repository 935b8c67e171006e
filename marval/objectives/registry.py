"""The distillation objectives by name: each is a module with a function `terms(scores, distance)`.

`scores` are `objectives.gsim.Scores`; the answer has named losses, one value per sample. Presets name objectives, so that modules
are imported where they are used.
"""

OBJECTIVES = {
    "gsim": "marval.objectives.gsim",
    "sim": "marval.objectives.sim",
}
