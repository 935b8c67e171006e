"""Randomness of training from (seed, step, stream): a resumed run continues the very same streams."""

import numpy as np
import torch

DRAWS = 0  # the stream of a step's batch, the same in all processes; streams 1, 2, ... are for dropout


def seed_step(seed: int, step: int, stream: int = DRAWS) -> None:
    """Reset torch's generators, on all devices, for one training step."""
    state = np.random.SeedSequence([seed, stream, step]).generate_state(2, dtype=np.uint32)
    torch.manual_seed(int(state[0]) << 32 | int(state[1]))


def seed_dropout(seed: int, step: int, first_image: int) -> None:
    """Reset them for what is random inside the networks, with a stream of its own for each share of the batch."""
    seed_step(seed, step, stream=1 + first_image)


def seed_construction(seed: int) -> None:
    """Reset torch's generators before networks are initialised."""
    seed_step(seed, step=2**31)
