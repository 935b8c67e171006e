"""How good a judge is on images that it has not seen: the numbers that say whether its verdicts mean
anything.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from metrics.intervals import wilson_interval
from metrics.judges.base import Judge, unit_float
from metrics.judges.clip import Clip
from metrics.judges.cnn import Cnn
from metrics.judges.image_reward import ImageReward
from metrics.judges.pick_score import PickScore
from metrics.judges.preferences import worse_images

PAIRS_SEED = 7  # of the held-out preference pairs, so that two judges are asked about the same pairs


@torch.no_grad()
def quality(judge: Judge, images: Tensor, labels: Tensor) -> list[dict[str, Any]]:
    """Rows {judge, quantity, value, ci_low, ci_high, n, better} from held-out images (N, 3, H, W) and labels
    (N,).
    """
    parts = list(zip(images.split(256), labels.split(256), strict=True))
    match judge:
        case Cnn():
            right = torch.cat([judge.logits(x).argmax(1) == y for x, y in parts])
            return [_row(judge, "held-out accuracy", right)]
        case Clip():
            right = torch.cat([judge.similarities(x).argmax(1) == y for x, y in parts])
            return [_row(judge, f"held-out retrieval accuracy, {len(judge.class_names)} prompts", right)]
        case ImageReward() | PickScore():
            generator = torch.Generator().manual_seed(PAIRS_SEED)
            right = torch.cat([_prefers_real(judge, unit_float(x), y, generator) for x, y in parts])
            return [_row(judge, "held-out ranking accuracy", right)]
    raise TypeError(f"no quality is defined for a judge of kind {judge.kind}")


def _prefers_real(
    judge: ImageReward | PickScore, images: Tensor, labels: Tensor, generator: torch.Generator
) -> Tensor:
    worse = worse_images(images, labels, generator)
    return judge.score(images, labels) > judge.score(worse, labels)


def _row(judge: Judge, quantity: str, right: Tensor) -> dict[str, Any]:
    hits, n = int(right.sum()), len(right)
    low, high = wilson_interval(hits, n)
    return {
        "judge": judge.name,
        "quantity": quantity,
        "value": float(np.float64(hits) / n),
        "ci_low": low,
        "ci_high": high,
        "n": n,
        "better": "higher",
    }
