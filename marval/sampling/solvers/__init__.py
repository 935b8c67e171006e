"""Inner samplers that follow the probability-flow ODE in few steps, without noise: each a module with `SLOTS` and `step`.

A step is linear in what the solver remembers and in the noise prediction, so that the reference runs it as it is written and the
optimised sampler takes its coefficients from it (`marval.sampling.tables`).
"""
