"""Reference statistics: the real images that samples are compared with, as one npz file.

Own files hold mu, sigma, n, how the images were cropped, which were left out, the judge's hash, and features and labels of at
most KEPT images. ADM's `VIRTUAL_imagenet256_labeled.npz` and MAR's `adm_in256_stats.npz` hold mu and sigma alone; they are read
too.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from metrics.distances import FrechetTarget
from metrics.errors import UserError
from metrics.features import FeatureJudge, check_finite, extract, features_of
from metrics.files import replacing
from metrics.kernel import own_mean
from metrics.manifold import radii
from metrics.moments import Moments, Selection, class_variances, statistics
from metrics.npz import read_npz
from metrics.real import RealImages
from metrics.samples import MOST_CLASSES, Samples, whole_numbers

KEPT = 10_000  # features kept for precision, recall and kernel distance: as many as ADM's file has images
MADE_BY = "make it with `python -m metrics statistics`"

# array -> kinds of its numbers, and how many axes it has
ARRAYS = {
    "mu": ("f", 1),
    "sigma": ("f", 2),
    "n": ("iu", 0),
    "features": ("f", 2),
    "labels": ("iu", 1),
    "judge_sha256": ("U", 0),
    "crop": ("U", 0),
    "left_out": ("U", 1),
}
LARGEST_VARIANCE = 1e12  # of a feature
TOLERANCE = 1e-4  # of the largest variance; published statistics are rounded to single precision


@dataclass(frozen=True)
class Reference:
    """mu (D,) and sigma (D, D), float64, of n images. The rest is None where the file does not tell.

    features: (M, D) float32 of some or all of the images; labels: (M,) int64; judge_sha256: of the network that made
    them; crop: how the images were prepared ("none", "adm-256"); left_out: names of damaged images.
    """

    mu: NDArray[np.float64]
    sigma: NDArray[np.float64]
    n: int | None = None
    features: NDArray[np.float32] | None = None
    labels: NDArray[np.int64] | None = None
    judge_sha256: str | None = None
    crop: str | None = None
    left_out: tuple[str, ...] = ()
    source: str = "the reference"

    def __post_init__(self) -> None:
        d = len(self.mu)
        if self.mu.shape != (d,) or self.sigma.shape != (d, d):
            raise UserError(
                f"{self.source}: mu {self.mu.shape} and sigma {self.sigma.shape} do not fit together"
            )
        check_finite(np.concatenate([self.mu[None], self.sigma]), self.source)
        _check_covariance(self.sigma, self.source)
        if self.features is not None:
            if self.features.shape[1:] != (d,) or not len(self.features):
                raise UserError(
                    f"{self.source}: features have shape {self.features.shape}, not (M, {d}): {MADE_BY}"
                )
            check_finite(self.features, self.source)
            if self.labels is not None and self.labels.shape != (len(self.features),):
                raise UserError(
                    f"{self.source}: {len(self.features)} features, but labels of shape {self.labels.shape}: {MADE_BY}"
                )

    @property
    def sha256(self) -> str:
        """Hash of mu and sigma: the identity of the reference in a protocol, whatever file it came from."""
        return sha256(self.mu.tobytes() + self.sigma.tobytes()).hexdigest()

    @cached_property
    def target(self) -> FrechetTarget:
        """All images, as a target of Frechet distances."""
        return FrechetTarget(self.mu, self.sigma)

    @cached_property
    def class_targets(self) -> dict[int, FrechetTarget]:
        """Each class's images, where features and labels are known; a class with one image has no covariance."""
        if self.features is None or self.labels is None:
            return {}
        groups = {int(label): self.features[self.labels == label] for label in np.unique(self.labels)}
        return {label: FrechetTarget(*statistics(group)) for label, group in groups.items() if len(group) > 1}

    @cached_property
    def class_sizes(self) -> dict[int, int]:
        """Images of each class whose features are known."""
        if self.features is None or self.labels is None:
            return {}
        return {int(label): int((self.labels == label).sum()) for label in np.unique(self.labels)}

    @cached_property
    def kernel_mean(self) -> float:
        """See metrics.kernel; only where features are known."""
        assert self.features is not None
        return own_mean(self.features)

    def radii(self, k: int) -> NDArray[np.float64]:
        """See metrics.manifold; only where features are known. Computed once for each k."""
        assert self.features is not None
        if k not in self._radii:
            self._radii[k] = radii(self.features, k)
        return self._radii[k]

    @cached_property
    def _radii(self) -> dict[int, NDArray[np.float64]]:
        return {}

    def class_variances(self) -> NDArray[np.float64] | None:
        """(K,) real within-class variance of each class, where features and labels are known."""
        if self.features is None or self.labels is None:
            return None
        return class_variances(self.features, self.labels)

    def check_judge(self, judge: FeatureJudge) -> None:
        """Refuse statistics that another network made.

        ADM's and MAR's files do not name theirs: Inception's 2048.
        """
        if self.judge_sha256 is not None and self.judge_sha256 != judge.sha256:
            raise UserError(
                f"{self.source}: made by a judge with sha256 {self.judge_sha256[:12]}, but {judge.name} has "
                f"{str(judge.sha256)[:12]}: make the reference statistics again with this judge"
            )

    def save(self, path: str | Path) -> None:
        """Write the npz file, complete or not at all."""
        path = Path(path)
        arrays: dict[str, NDArray] = {"mu": self.mu, "sigma": self.sigma}
        variances = self.class_variances()
        optional = {"features": self.features, "labels": self.labels, "class_variances": variances}
        arrays |= {name: array for name, array in optional.items() if array is not None}
        origin = {"n": self.n, "judge_sha256": self.judge_sha256, "crop": self.crop}
        arrays |= {name: np.array(value) for name, value in origin.items() if value is not None}
        if self.left_out:
            arrays["left_out"] = np.array(self.left_out)
        with replacing(path) as partial, partial.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)


def make_reference(real: RealImages, judge: FeatureJudge, batch: int = 256, keep: int = KEPT) -> Reference:
    """Statistics of real images under `judge`, batch by batch; features and labels of `keep` of them stay, drawn evenly."""
    moments, kept, labelled = Moments(), Selection(keep), True
    for images, labels in real.batches(batch):
        features = features_of(judge, images)
        check_finite(features, f"{real.source}, features by {judge.name}")
        moments.add(features)
        labelled = labelled and labels is not None
        kept.add(features, np.zeros(len(images), np.int64) if labels is None else labels)
    if moments.n < 2:
        raise UserError(f"{real.source}: {moments.n} readable images: statistics need at least two")
    chosen, of = kept.columns
    return Reference(
        moments.mean,
        moments.covariance,
        moments.n,
        chosen,
        of if labelled else None,
        judge.sha256,
        real.crop,
        tuple(real.left_out),
        real.source,
    )


def read_reference(path: str | Path) -> Reference:
    """Read an own, ADM's or MAR's statistics file."""
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file: {MADE_BY}")
    arrays, names = read_npz(path, tuple(ARRAYS), "make the statistics again")
    if "mu" not in arrays or "sigma" not in arrays:
        raise UserError(
            f"{path}: no mu and sigma (it has: {', '.join(names)}): give a statistics file, not a batch of samples"
        )
    for name, (kinds, axes) in ARRAYS.items():
        if name in arrays and (arrays[name].dtype.kind not in kinds or arrays[name].ndim != axes):
            raise UserError(
                f"{path}: {name} is {arrays[name].dtype} of shape {arrays[name].shape}, not as in a statistics file: {MADE_BY}"
            )
    labels = arrays.get("labels")
    return Reference(
        arrays["mu"].astype(np.float64),
        arrays["sigma"].astype(np.float64),
        int(whole_numbers(arrays["n"], 2**63, f"{path}: n")) if "n" in arrays else None,
        arrays.get("features"),
        None if labels is None else whole_numbers(labels, MOST_CLASSES, f"{path}: labels"),
        str(arrays["judge_sha256"]) if "judge_sha256" in arrays else None,
        str(arrays["crop"]) if "crop" in arrays else None,
        tuple(arrays["left_out"].tolist()) if "left_out" in arrays else (),
        str(path),
    )


def _check_covariance(sigma: NDArray[np.float64], source: str) -> None:
    """Refuse what no images can have as covariance, which otherwise comes out as a distance."""
    variances = np.diag(sigma)
    largest = variances.max(initial=0.0)
    bound = np.sqrt(variances.clip(min=0))
    if (
        not 0 <= variances.min(initial=0.0) <= largest < LARGEST_VARIANCE
        or np.abs(sigma - sigma.T).max(initial=0.0) > TOLERANCE * largest
        or (np.abs(sigma) - np.outer(bound, bound)).max(initial=0.0) > TOLERANCE * largest
    ):
        raise UserError(
            f"{source}: sigma is no covariance of features (variances from {variances.min(initial=0.0):.3g} to {largest:.3g}; it "
            f"must be symmetric, and none larger than their product's root): {MADE_BY}"
        )


def with_features(reference: Reference, judge: FeatureJudge) -> Reference:
    """The reference, completed with features of the images that ADM's file carries beside its statistics.

    ADM's precision and recall are taken on those 10,000 images. MAR's file has none, and comes back as it is.
    """
    if reference.features is not None or not Path(reference.source).is_file():
        return reference
    found, _ = read_npz(Path(reference.source), ("arr_0",), MADE_BY)
    if "arr_0" not in found:
        return reference
    images = found["arr_0"]
    real = Samples(images, None, np.zeros(len(images), np.int64), reference.source)
    return replace(reference, features=extract(judge, real).features)
