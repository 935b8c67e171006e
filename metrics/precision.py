"""Judging in real float32."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def judging() -> Iterator[None]:
    """No gradients, and no TF32: on a GPU, convolutions round their inputs to ten bits unless they are told not to.

    A score would then depend on the kind of machine.
    """
    allowed = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        with torch.no_grad():
            yield
    finally:
        torch.backends.cudnn.allow_tf32 = allowed
