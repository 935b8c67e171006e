"""The diffusion process of one token.

    q(x_t | x_0) = N(alpha_t x_0, sigma_t^2 I),   alpha_t^2 + sigma_t^2 = 1,   t = 0 ... T-1   (T = 1000)

`schedule` fixes alpha and sigma, `conversions` turns predictions (noise, x0, score) into each other, and `ancestral` runs the
process backwards with the learned-range variance of improved DDPM (Nichol & Dhariwal 2021, arXiv 2102.09672).
"""

TRAINING_STEPS = 1000  # T
