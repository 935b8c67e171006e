"""Classifier-free guidance in the scale convention: w = 1 is no guidance, w = 0 no class.

The paper's equation prints (1 + w) S(class) - w S(null), yet its Table 3 calls w = 1 "no guidance"; only the scale convention
fits that table, and MAR's sampler uses it too.
"""

from torch import Tensor


def guided(conditional: Tensor, unconditional: Tensor, scale: float | Tensor) -> Tensor:
    """S(null) + w (S(class) - S(null)), for scores or noise predictions of equal shape."""
    return unconditional + scale * (conditional - unconditional)
