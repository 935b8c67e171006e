"""How many tokens are masked after each AR step of sampling, and the guidance that follows it."""

from __future__ import annotations

import math


def unmasking_schedule(tokens: int, steps: int, masked: int | None = None) -> list[int]:
    """How many tokens are still masked after each AR step, `steps` entries, strictly falling, the last 0.

    After step k: floor(n cos(pi/2 (k+1)/K)), but at least 1 and at least one fewer than before; the last step reveals all
    that is left. `masked` is how many of the `tokens` are unknown at the start (all, unless an image is in-painted).
    """
    unknown = tokens if masked is None else masked
    if not 1 <= steps <= unknown:
        raise ValueError(f"AR steps must be 1 to {unknown} for {unknown} unknown tokens, not {steps}")
    counts: list[int] = []
    before = unknown
    for k in range(steps - 1):
        target = math.floor(unknown * math.cos(math.pi / 2 * (k + 1) / steps))
        before = max(1, min(before - 1, target))
        counts.append(before)
    return [*counts, 0]


def linear_guidance(scale: float, tokens: int, masked_after: int) -> float:
    """MAR's linear guidance schedule: w_k = 1 + (w - 1)(N - masked after step k) / N, from near 1 up to about w.

    The published sampler counts one masked token after the last step too, so w itself is never quite reached.
    """
    return 1 + (scale - 1) * (tokens - max(1, masked_after)) / tokens
