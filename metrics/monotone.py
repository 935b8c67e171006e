"""Does a feature judge rank what everybody can see? Real images, damaged more and more, must be farther and farther.

A judge that fails here may be shown, but decides nothing.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from metrics.features import Features, extract
from metrics.intervals import half_samples, wilson_interval
from metrics.judges.base import to_bchw
from metrics.judging import Yardstick
from metrics.samples import Samples
from metrics.set_metrics import METRICS, SetMetric, Subject
from metrics.settings import EvaluationSettings

HALVES = 20
SEED = 11
# damage -> its strengths, and the metric that must grow with it
LEVELS: dict[str, tuple[tuple[float, ...], str]] = {
    "blur of a standard deviation of {} pixels": ((0, 0.5, 1, 2), "frechet_distance"),
    "noise of {} grey levels": ((0, 10, 25, 60), "frechet_distance"),
    "the next class in the place of a share {} of each": ((0, 0.1, 0.3, 0.6), "class_frechet_distance"),
}


def monotone(yardstick: Yardstick, real: Samples) -> list[dict[str, Any]]:
    """Rows {judge, quantity, value, ci_low, ci_high, n, images, better}: the share of `n` random halves of held-out real images,
    of at least `images` each, on which all strengths of a damage are ranked in their order. The value is None where the damage's
    metric cannot be taken.
    """
    images, labels = real.images, real.labels
    assert labels is not None
    halves = half_samples(labels, HALVES, SEED)
    clean = extract(yardstick.judge, real)
    makers: list[Callable[[float], tuple[Features, NDArray[np.int64]]]] = [
        lambda s: (_of(yardstick, blurred(images, s)) if s else clean, labels),
        lambda s: (_of(yardstick, noisy(images, s)) if s else clean, labels),
        lambda s: (clean, swapped(labels, s)),
    ]
    rows = []
    for (name, (strengths, metric)), make in zip(LEVELS.items(), makers, strict=True):
        values = [_values(metric, yardstick, *make(s), halves) for s in strengths]
        share, low, high = _share_in_order([found for found in values if found is not None], len(strengths))
        listed = ", ".join(f"{s:g}" for s in strengths)
        rows.append(
            {
                "judge": yardstick.judge.name,
                "quantity": f"ranks {name.format(listed)}",
                "value": share,
                "ci_low": low,
                "ci_high": high,
                "n": HALVES,
                "images": min(map(len, halves)),
                "better": "higher",
            }
        )
    return rows


def _share_in_order(
    values: list[list[float]], strengths: int
) -> tuple[float | None, float | None, float | None]:
    """Of the halves, with its interval, from the values of all halves at each strength."""
    if len(values) < strengths:
        return None, None, None
    in_order = int((np.diff(np.array(values), axis=0) > 0).all(axis=0).sum())
    return in_order / HALVES, *wilson_interval(in_order, HALVES)


def blurred(images: NDArray[np.uint8], deviation: float) -> NDArray[np.uint8]:
    """(N, H, W, 3) under a Gaussian of that standard deviation, in pixels; the border is repeated outwards."""
    if deviation == 0:
        return images
    reach = int(np.ceil(3 * deviation))
    line = torch.exp(-(torch.arange(-reach, reach + 1) ** 2) / (2 * deviation**2))
    line = (line / line.sum()).repeat(3, 1)[:, None, None]  # (3, 1, 1, 2 reach + 1)
    pixels = F.pad(to_bchw(images).float(), (reach, reach, reach, reach), mode="replicate")
    pixels = F.conv2d(F.conv2d(pixels, line, groups=3), line.transpose(2, 3), groups=3)
    return pixels.round().byte().permute(0, 2, 3, 1).numpy()


def noisy(images: NDArray[np.uint8], deviation: float) -> NDArray[np.uint8]:
    """(N, H, W, 3) with the same Gaussian noise at every strength, in grey levels."""
    noise = np.random.default_rng(SEED).normal(size=images.shape)
    return (images + deviation * noise).round().clip(0, 255).astype(np.uint8)


def swapped(labels: NDArray[np.int64], share: float) -> NDArray[np.int64]:
    """(N,) labels, of which a share in each class is the next class's: the images stay, what was asked for changes."""
    order = np.random.default_rng(SEED).permutation(len(labels))
    changed = labels.copy()
    for label in np.unique(labels):
        own = order[labels[order] == label]
        changed[own[: round(share * len(own))]] = (label + 1) % (labels.max() + 1)
    return changed


def _of(yardstick: Yardstick, images: NDArray[np.uint8]) -> Features:
    return extract(yardstick.judge, Samples(images, None, np.zeros(len(images), np.int64)))


def _values(
    name: str, yardstick: Yardstick, features: Features, labels: NDArray[np.int64], halves: list[NDArray]
) -> list[float] | None:
    metric = next(m for m in METRICS if m.name == name)
    assert isinstance(metric, SetMetric)
    subject = Subject(features, labels, False, halves, yardstick.reference, EvaluationSettings())
    return None if metric.protocol(subject) is None else metric.values(subject)
