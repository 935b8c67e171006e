"""Bad input gets one clear line."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from metrics import UserError
from metrics.samples import Samples, read_samples

BYTES = np.arange(4 * 8 * 8 * 3, dtype=np.uint64).astype(np.uint8).reshape(4, 8, 8, 3)


def save(path: Path, **arrays: np.ndarray) -> Path:
    np.savez(path, **arrays)
    return path


def picture(path: Path, size: tuple[int, int] = (8, 8), mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size).save(path)


def refused(path: Path, match: str) -> None:
    with pytest.raises(UserError, match=match) as caught:
        read_samples(path)
    assert "\n" not in str(caught.value)
    assert str(path.name) in str(caught.value)


def test_npz_batch(tmp_path: Path) -> None:
    labels, seed = np.array([3, 1, 3, 1]), np.array([0, 0, 1, 1])
    read = read_samples(save(tmp_path / "a.npz", arr_0=BYTES, arr_1=labels, seed=seed))
    assert np.array_equal(read.images, BYTES)
    assert read.seeds == [0, 1]
    assert np.array_equal(read.of_seed(1).images, BYTES[2:])
    assert read.of_seed(1).labels is not None
    bare = read_samples(save(tmp_path / "b.npz", arr_0=BYTES))
    assert bare.labels is None
    assert bare.seeds == [0]
    assert bare.sha256 == read.sha256 != Samples(BYTES[::-1], None, seed).sha256


def test_folder_takes_labels_from_class_folders(tmp_path: Path) -> None:
    for name in ("b/1.png", "a/2.png", "a/1.png"):
        picture(tmp_path / name)
    read = read_samples(tmp_path)
    assert read.images.shape == (3, 8, 8, 3)
    assert read.labels is not None
    assert read.labels.tolist() == [0, 0, 1]
    picture(tmp_path / "loose.png")
    assert read_samples(tmp_path).labels is None


def test_bad_folders(tmp_path: Path) -> None:
    refused(tmp_path, "no images")
    picture(tmp_path / "1.png")
    picture(tmp_path / "2.png", size=(9, 8))
    with pytest.raises(UserError, match=r"2\.png: 9 x 8 pixels, but the first image has 8 x 8"):
        read_samples(tmp_path)
    picture(tmp_path / "2.png", mode="L")
    with pytest.raises(UserError, match=r"2\.png: image mode is L, not RGB"):
        read_samples(tmp_path)
    (tmp_path / "2.png").write_bytes((tmp_path / "1.png").read_bytes()[:48])
    with pytest.raises(UserError, match=r"2\.png: not a readable image"):
        read_samples(tmp_path)


def test_bad_files(tmp_path: Path) -> None:
    refused(tmp_path / "none.npz", "no such file")
    (tmp_path / "text.npz").write_text("not an archive")
    refused(tmp_path / "text.npz", "not a readable npz")
    refused(save(tmp_path / "names.npz", images=BYTES), r"no array arr_0 \(it has: images\)")
    refused(save(tmp_path / "floats.npz", arr_0=BYTES / 255), "float64, not bytes")
    refused(save(tmp_path / "nchw.npz", arr_0=BYTES.transpose(0, 3, 1, 2)), r"shape \(4, 3, 8, 8\)")
    refused(save(tmp_path / "grey.npz", arr_0=BYTES[..., 0]), r"shape \(4, 8, 8\), not \(N, H, W, 3\)")
    refused(save(tmp_path / "one.npz", arr_0=BYTES[:1]), "1 images")
    refused(save(tmp_path / "short.npz", arr_0=BYTES, arr_1=np.arange(3)), r"labels has shape \(3,\)")


def test_pickled_arrays_are_not_opened(tmp_path: Path) -> None:
    refused(save(tmp_path / "pickle.npz", arr_0=np.array([{}, {}], dtype=object)), "not a readable npz")
