"""The inner samplers by name. Presets name them, so that modules are imported where they are used."""

ANCESTRAL = "ancestral"  # MAR's own, `token_samplers.DiffusionChain`; the others are solvers of the probability-flow ODE

SOLVERS = {
    "ddim": "marval.sampling.solvers.ddim",
    "dpm-solver": "marval.sampling.solvers.dpm_solver",
    "unipc": "marval.sampling.solvers.unipc",
}
