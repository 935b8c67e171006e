"""Randomness of training from (seed, process, step): a resumed run continues the very same stream."""

import numpy as np
import torch


def seed_step(seed: int, step: int, process: int = 0) -> None:
    """Reset torch's generators for one training step."""
    state = np.random.SeedSequence([seed, process, step]).generate_state(2, dtype=np.uint32)
    torch.manual_seed(int(state[0]) << 32 | int(state[1]))


def seed_construction(seed: int) -> None:
    """Reset torch's generators before networks are initialised."""
    seed_step(seed, step=2**31)
