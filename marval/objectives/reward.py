"""MARVAL-RL's objective: the negative reward of whole images, -E[R(image, prompt)], differentiated through everything."""

from torch import Tensor


def reward_loss(reward: Tensor) -> Tensor:
    """Loss `(B,)` of rewards `(B,)`; no policy gradient and no baseline, the gradient flows through the images."""
    return -reward
