"""How good a judge is on images that it has not seen: the numbers that say whether its verdicts mean
anything.
"""

from typing import Any

import torch
from torch import Tensor

from metrics.intervals import wilson_interval
from metrics.judges.base import Judge

SEED = 7  # of the held-out preference pairs, so that two judges are asked about the same pairs


@torch.no_grad()
def quality(judge: Judge, images: Tensor, labels: Tensor) -> dict[str, Any]:
    """{judge, quantity, value, ci_low, ci_high, n, better} from held-out images (N, 3, H, W) and labels (N,)."""
    generator = torch.Generator().manual_seed(SEED)
    parts = zip(images.split(256), labels.split(256), strict=True)
    right = torch.cat([judge.are_right(x, y, generator) for x, y in parts])
    hits, n = int(right.sum()), len(right)
    low, high = wilson_interval(hits, n)
    return {
        "judge": judge.name,
        "quantity": judge.quantity,
        "value": hits / n,
        "ci_low": low,
        "ci_high": high,
        "n": n,
        "better": "higher",
    }
