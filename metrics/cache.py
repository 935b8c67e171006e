"""Features on disk, filed under the content of what they were made of: the images and the judge's weights."""

from pathlib import Path

import numpy as np

from metrics.errors import UserError
from metrics.features import FeatureJudge, Features
from metrics.files import replacing
from metrics.npz import read_npz
from metrics.samples import Samples

NAMES = ("features", "logits")


class FeatureCache:
    """One npz file for each pair (images, judge). A judge without a hash (not saved yet) is not cached."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def path(self, samples: Samples, judge: FeatureJudge) -> Path | None:
        """The file of this pair, there or not."""
        if judge.sha256 is None:
            return None
        return self.folder / f"{judge.sha256[:20]}-{samples.sha256[:20]}.npz"

    def get(self, samples: Samples, judge: FeatureJudge) -> Features | None:
        """Stored features, or None where there are none that can be read and fit."""
        path = self.path(samples, judge)
        if path is None or not path.is_file():
            return None
        try:
            arrays, _ = read_npz(path, NAMES, "it is made again")
        except UserError:
            return None  # a damaged file is computed again and replaced
        found = [np.array(arrays[name]) for name in NAMES if name in arrays]
        count = len(samples.images)
        if [(a.dtype, a.ndim, a.shape[:1]) for a in found] != [(np.float32, 2, (count,))] * len(NAMES):
            return None
        return Features(*found)

    def put(self, samples: Samples, judge: FeatureJudge, features: Features) -> None:
        """Store; the file appears complete or not at all."""
        path = self.path(samples, judge)
        if path is None:
            return
        with replacing(path) as partial, partial.open("wb") as file:
            np.savez(file, allow_pickle=False, features=features.features, logits=features.logits)
