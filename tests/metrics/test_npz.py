"""npz files are read as numpy reads them, and not copied where they are stored plainly."""

from pathlib import Path

import numpy as np
import pytest

from metrics import UserError
from metrics.npz import read_npz
from metrics.samples import read_samples

ARRAYS = {
    "images": np.arange(120, dtype=np.uint8).reshape(5, 2, 4, 3),
    "fortran": np.asfortranarray(np.arange(12.0).reshape(3, 4)),
    "number": np.array(7),
    "text": np.array("crop"),
    "empty": np.zeros((0, 3)),
}


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_as_numpy_reads(save, tmp_path: Path) -> None:
    save(tmp_path / "a.npz", **ARRAYS)
    found, names = read_npz(tmp_path / "a.npz", [*ARRAYS, "absent"], "")
    assert names == list(ARRAYS)
    assert set(found) == set(ARRAYS)
    for name, array in ARRAYS.items():
        assert np.array_equal(found[name], array)
        assert found[name].dtype == array.dtype
        assert type(found[name]) is np.ndarray


def test_stored_arrays_are_mapped(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **ARRAYS)
    found, _ = read_npz(tmp_path / "a.npz", ["images", "fortran"], "")
    for array in found.values():
        assert isinstance(array.base, np.memmap)
        assert not array.flags.writeable


def test_samples_and_their_parts_share_the_file(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (6, 4, 4, 3), dtype=np.uint8)
    np.savez(tmp_path / "a.npz", arr_0=images, arr_1=np.arange(6), seed=[3, 3, 3, 1, 1, 1])
    samples = read_samples(tmp_path / "a.npz")
    for part in (samples.of_seed(1), samples.of_seed(3), samples.part(slice(2, 5))):
        assert np.shares_memory(part.images, samples.images)
    assert np.array_equal(samples.of_seed(1).images, images[3:])
    mixed = tmp_path / "mixed.npz"
    np.savez(mixed, arr_0=images, seed=[3, 1, 3, 1, 3, 3])
    assert np.array_equal(read_samples(mixed).of_seed(3).images, images[[0, 2, 4, 5]])


def test_pickles_and_damage_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=np.array([{}], dtype=object), plain=np.zeros(3))
    with pytest.raises(
        UserError,
        match=r"a\.npz: not a readable npz file .*\(pickled objects are not read\): mend it",
    ):
        read_npz(tmp_path / "a.npz", ["images"], "mend it")
    assert "plain" in read_npz(tmp_path / "a.npz", ["plain"], "")[0]
    whole = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "a.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="not a readable npz"):
        read_npz(tmp_path / "a.npz", ["plain"], "mend it")
