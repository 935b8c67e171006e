"""Rows of a result file: a value for each seed, their mean, an interval, and the protocol that the value
holds under.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metrics import intervals
from metrics.features import NamedJudge
from metrics.samples import Samples

Row = dict[str, Any]


@dataclass(frozen=True)
class Named:
    """What a row is about: the metric, for files and for people, its direction, who judged, and the rest of its protocol."""

    metric: str
    title: str
    higher_is_better: bool | None
    judge: NamedJudge
    protocol: Row


@dataclass(frozen=True)
class RowMaker:
    """Makes rows for samples that are split by seed; every seed has the same number of images, in as many sets.

    A metric is one of the images of one set; with several sets of a seed it is the mean over them, which covers their sampling.
    With several seeds every interval is Student's t over the seeds: it covers training another model as well as drawing other
    images. With one seed it covers the drawing of images alone, and says so. Either way it is conditional on the reference
    images.
    """

    parts: list[Samples]
    resamples: int
    half_samples: int
    seed: int

    @property
    def sets(self) -> int:
        """Of each seed."""
        return self.parts[0].sets

    @property
    def size(self) -> int:
        """Images of a set."""
        return len(self.parts[0].images) // self.sets

    @property
    def places(self) -> list[slice]:
        """Where a seed's images of each set are."""
        return [slice(k * self.size, (k + 1) * self.size) for k in range(self.sets)]

    @cached_property
    def halves_of_sets(self) -> list[list[list[NDArray[np.int64]]]]:
        """For each seed and each of its sets, random halves of the set's images."""
        return [
            [
                intervals.half_samples(
                    np.zeros(self.size, np.int64) if part.labels is None else part.labels[place],
                    self.half_samples,
                    self.seed,
                )
                for place in self.places
            ]
            for part in self.parts
        ]

    @cached_property
    def halves(self) -> list[list[NDArray[np.int64]]]:
        """For each seed, random halves of its images: of every set a half."""
        return [
            [
                np.concatenate([half + place.start for half, place in zip(of_all, self.places, strict=True)])
                for of_all in zip(*of_sets, strict=True)
            ]
            for of_sets in self.halves_of_sets
        ]

    def of_set(self, named: Named, by_seed: list[list[float]]) -> Row:
        """A metric of whole sets: for each seed the value of all its images, and then the values of its halves."""
        values, of_halves = [found[0] for found in by_seed], [found[1:] for found in by_seed]
        interval = intervals.half_sample_interval(values[0], of_halves[0])
        how = f"95% normal interval, standard error from {self.half_samples} random halves; images only"
        if self.sets > 1:
            how += f"; mean of {self.sets} sets of {self.size} images"
        return self._row(named, values, of_halves, interval, how)

    def of_images(self, named: Named, by_seed: list[NDArray]) -> Row:
        """A mean of one score for each image, for each seed."""
        scores, labels = by_seed[0], self.parts[0].labels
        if scores.dtype == bool:
            interval = intervals.wilson_interval(int(scores.sum()), len(scores))
            how = "95% Wilson interval; images only"
        else:
            assert labels is not None
            interval = intervals.mean_interval(scores.astype(np.float64), labels, self.resamples, self.seed)
            how = f"95% percentile bootstrap, {self.resamples} resamples within each class; images only"
        return self.of_means(named, by_seed, interval, how)

    def of_means(
        self, named: Named, by_seed: Sequence[NDArray], interval: intervals.Interval, how: str
    ) -> Row:
        """A mean over images whose interval for a single seed is given."""
        values = [float(scores.mean(dtype=np.float64)) for scores in by_seed]
        of_halves = [
            [float(scores[half].mean(dtype=np.float64)) for half in halves]
            for scores, halves in zip(by_seed, self.halves, strict=True)
        ]
        return self._row(named, values, of_halves, interval, how)

    def _row(
        self,
        named: Named,
        values: list[float],
        of_halves: list[list[float]],
        interval: intervals.Interval,
        how: str,
    ) -> Row:
        if len(values) > 1:
            interval = intervals.seeds_interval(values)
            how = f"95% t interval over {len(values)} independently trained models"
        return {
            "metric": named.metric,
            "title": named.title,
            "value": float(np.mean(values)),
            "ci_low": interval[0],
            "ci_high": interval[1],
            "n": sum(len(part.images) for part in self.parts),
            "seeds": [int(part.seed[0]) for part in self.parts],
            "values": values,
            "halves": [
                {"sha256": sha256, "values": values}
                for sha256, values in zip(self._halves_sha256, of_halves, strict=True)
            ],
            "higher_is_better": named.higher_is_better,
            "judge": named.judge.name,
            "judge_sha256": named.judge.sha256,
            "protocol": {**self._images, **named.protocol},
            "interval": how,
        }

    @cached_property
    def _halves_sha256(self) -> list[str]:
        """Identity of each seed's halves: two that are equal may be compared half by half."""
        return [
            sha256(b"".join(half.astype("<i8").tobytes() for half in halves)).hexdigest()
            for halves in self.halves
        ]

    @cached_property
    def _images(self) -> Row:
        """The part of every protocol that says which images were scored."""
        first = self.parts[0]
        known: Row = {"images": self.size, "image_size": int(first.images.shape[1])}
        if first.labels is not None:
            # held-out real images are not exactly balanced: then the least and the most are given
            counts = np.unique_counts(first.labels[: self.size]).counts
            even = counts.min() == counts.max()
            known["images_per_class"] = int(counts[0]) if even else [int(counts.min()), int(counts.max())]
        return known
