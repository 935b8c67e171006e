"""Reference statistics: own files come back whole, ADM's and MAR's bare ones are read, wrong ones are refused."""

from pathlib import Path

import numpy as np
import pytest

from metrics import UserError
from metrics.features import extract
from metrics.judges.cnn import Cnn
from metrics.moments import class_variances
from metrics.real import ArrayImages
from metrics.reference import Reference, make_reference, read_reference
from metrics.samples import Samples


def test_own_file_comes_back_whole(reference: Reference, tmp_path: Path) -> None:
    reference.save(tmp_path / "reference.npz")
    again = read_reference(tmp_path / "reference.npz")
    assert again.sha256 == reference.sha256
    assert again.n == 1000
    assert again.judge_sha256 == reference.judge_sha256
    assert np.array_equal(again.features, reference.features)
    assert np.array_equal(again.class_variances(), reference.class_variances())
    with np.load(tmp_path / "reference.npz") as file:
        assert {"mu", "sigma", "features", "n", "judge_sha256", "class_variances"} <= set(file.files)


def test_statistics_are_numpys_in_float64(reference: Reference) -> None:
    features = reference.features.astype(np.float64)
    assert np.allclose(reference.mu, features.mean(0), rtol=1e-12)
    assert np.allclose(reference.sigma, np.cov(features.T), rtol=1e-12)


def test_bare_statistics_are_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "adm.npz", mu=np.zeros(5, np.float32), sigma=np.eye(5, dtype=np.float32))
    bare = read_reference(tmp_path / "adm.npz")
    assert bare.mu.dtype == bare.sigma.dtype == np.float64
    assert bare.n is bare.features is bare.judge_sha256 is None
    assert bare.class_variances() is None


def test_class_variance_is_half_the_mean_squared_distance_of_a_pair() -> None:
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(30, 4)), np.repeat([0, 1, 2], [10, 19, 1])
    group = features[:10]
    pairs = [((a - b) ** 2).sum() for i, a in enumerate(group) for b in group[:i]]
    variances = class_variances(features, labels)
    assert len(variances) == 2  # the class with one image is left out
    assert variances[0] == pytest.approx(np.mean(pairs) / 2)


def test_wrong_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        read_reference(tmp_path / "none.npz")
    np.savez(tmp_path / "batch.npz", arr_0=np.zeros(3))
    with pytest.raises(UserError, match=r"no mu and sigma \(it has: arr_0\)"):
        read_reference(tmp_path / "batch.npz")
    np.savez(tmp_path / "mixed.npz", mu=np.zeros(3), sigma=np.eye(4))
    with pytest.raises(UserError, match="do not fit together"):
        read_reference(tmp_path / "mixed.npz")
    np.savez(tmp_path / "nan.npz", mu=np.full(3, np.nan), sigma=np.eye(3))
    with pytest.raises(UserError, match="not finite"):
        read_reference(tmp_path / "nan.npz")


def test_features_that_are_not_finite_are_refused(held_out: Samples, cnn: Cnn) -> None:
    class Broken:
        name, sha256 = "broken", None

        def features(self, images):
            return cnn.features(images) * float("nan")

        head = staticmethod(cnn.head)

    with pytest.raises(UserError, match="797 of 797 images have features that are not finite"):
        extract(Broken(), held_out)
    with pytest.raises(UserError, match="not finite"):
        make_reference(ArrayImages(held_out.images, None), Broken())
