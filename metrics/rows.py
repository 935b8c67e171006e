"""Rows of a result file: a value for each seed, their mean, an interval, and the protocol that the value
holds under.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metrics import intervals
from metrics.features import NamedJudge
from metrics.samples import Samples

Row = dict[str, Any]
Value = Callable[[NDArray[np.int64]], float]  # a metric of the images with these indices


@dataclass(frozen=True)
class RowMaker:
    """Makes rows for samples that are split by seed; every seed has the same number of images.

    With several seeds every interval is Student's t over the seeds, because training another model moves a
    metric more than drawing other images does. With one seed it covers the drawing of images alone, and says
    so.
    """

    parts: list[Samples]
    resamples: int
    half_samples: int
    seed: int

    def of_set(
        self, metric: str, better: bool | None, judge: NamedJudge, by_seed: list[Value], protocol: Row
    ) -> Row:
        """A metric of the whole set, which no mean over images gives (Frechet distance, recall, ...)."""
        n = len(self.parts[0].images)
        values = [value(np.arange(n)) for value in by_seed]
        if len(values) > 1:
            return self._over_seeds(metric, better, judge, values, protocol)
        labels = np.zeros(n, np.int64) if self.parts[0].labels is None else self.parts[0].labels
        halves = intervals.half_samples(labels, self.half_samples, self.seed)
        interval = intervals.half_sample_interval(values[0], by_seed[0], halves)
        how = f"95% normal interval, standard error from {self.half_samples} random halves; images only"
        return self._row(metric, better, judge, values, interval, how, protocol)

    def of_images(self, metric: str, judge: NamedJudge, by_seed: list[NDArray], protocol: Row) -> Row:
        """A mean of one score for each image; higher is better."""
        values = [float(scores.mean(dtype=np.float64)) for scores in by_seed]
        if len(values) > 1:
            return self._over_seeds(metric, True, judge, values, protocol)
        scores, labels = by_seed[0], self.parts[0].labels
        if scores.dtype == bool:
            interval = intervals.wilson_interval(int(scores.sum()), len(scores))
            how = "95% Wilson interval; images only"
        else:
            assert labels is not None
            interval = intervals.mean_interval(scores.astype(np.float64), labels, self.resamples, self.seed)
            how = f"95% percentile bootstrap, {self.resamples} resamples within each class; images only"
        return self._row(metric, True, judge, values, interval, how, protocol)

    def _over_seeds(
        self, metric: str, better: bool | None, judge: NamedJudge, values: list[float], protocol: Row
    ) -> Row:
        how = f"95% t interval over {len(values)} independently trained models"
        return self._row(metric, better, judge, values, intervals.seeds_interval(values), how, protocol)

    def _row(
        self,
        metric: str,
        better: bool | None,
        judge: NamedJudge,
        values: list[float],
        interval: intervals.Interval,
        how: str,
        protocol: Row,
    ) -> Row:
        return {
            "metric": metric,
            "value": float(np.mean(values)),
            "ci_low": interval[0],
            "ci_high": interval[1],
            "n": sum(len(part.images) for part in self.parts),
            "seeds": [int(part.seed[0]) for part in self.parts],
            "values": values,
            "higher_is_better": better,
            "judge": judge.name,
            "judge_sha256": judge.sha256,
            "protocol": {**self._images(), **protocol},
            "interval": how,
        }

    def _images(self) -> Row:
        """The part of every protocol that tells which images were scored."""
        first = self.parts[0]
        told: Row = {"images": len(first.images), "image_size": int(first.images.shape[1])}
        if first.labels is not None:
            # held-out real images are not exactly balanced: then the least and the most are told
            counts = np.unique_counts(first.labels).counts
            even = counts.min() == counts.max()
            told["images_per_class"] = int(counts[0]) if even else [int(counts.min()), int(counts.max())]
        return told
