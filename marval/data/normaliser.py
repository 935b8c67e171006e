"""The channel statistics that bring latents to zero mean and unit deviation: measured file by file, then put together."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor

NOTE = "channel_statistics"


@dataclass(frozen=True)
class ChannelStatistics:
    """Of `count` images: mean of each channel, and mean square of a drawn latent's distance from it."""

    count: int
    mean: list[float]
    square: list[float]

    @classmethod
    def of(cls, moments: Tensor) -> ChannelStatistics:
        """From moments `(n, 2C, h, w)`: the spread of the posterior means and the posteriors' own width together."""
        # the order of summation shows in the last bit: the autoencoder's own order, channels last, whatever it was stored in
        mean, std = moments.contiguous(memory_format=torch.channels_last).chunk(2, dim=1)
        centre = mean.mean(dim=(0, 2, 3))
        square = ((mean - centre.view(1, -1, 1, 1)).square() + std.square()).mean(dim=(0, 2, 3))
        return cls(len(moments), centre.tolist(), square.tolist())

    def notes(self) -> dict[str, str]:
        return {NOTE: json.dumps(asdict(self))}

    @classmethod
    def from_notes(cls, notes: Mapping[str, str]) -> ChannelStatistics:
        return cls(**json.loads(notes[NOTE]))


def measured(parts: Sequence[ChannelStatistics]) -> dict[str, list[float]]:
    """{"mean", "std"} over all parts, in float64, rounded to float32; of one part exactly that part's."""
    weights = np.array([part.count for part in parts])
    means, squares = np.array([part.mean for part in parts]), np.array([part.square for part in parts])
    mean = np.average(means, axis=0, weights=weights)
    # a part's squares are about its own mean: move them to the common one
    square = np.average(squares + np.square(means - mean), axis=0, weights=weights)
    return {"mean": _single(mean).tolist(), "std": _single(square).sqrt().tolist()}


def fixed(scale: float, channels: int) -> dict[str, list[float]]:
    """{"mean", "std"} where the autoencoder comes with a factor for its latents, as KL-16 does."""
    return {"mean": [0.0] * channels, "std": _single(np.full(channels, 1 / scale)).tolist()}


def _single(values: np.ndarray) -> Tensor:
    return torch.from_numpy(values).float()
