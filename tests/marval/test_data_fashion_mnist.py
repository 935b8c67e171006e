"""Fashion-MNIST from Debian's package, where it is installed, and every way not to have it."""

import gzip
import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from marval.data.images import open_training
from marval.data.sources.fashion_mnist import (
    DEBIAN_FOLDER,
    MD5,
    FashionMnist,
    from_idx,
    hub_contents,
    to_idx,
)
from marval.errors import UserError

FILES = [f"{name}.gz" for name in MD5]
installed = pytest.mark.skipif(
    not all((Path(DEBIAN_FOLDER) / name).is_file() for name in FILES),
    reason=f"{DEBIAN_FOLDER} is not there: apt install dataset-fashion-mnist",
)


def config(**settings):
    return FashionMnist(data="fashion-mnist", **settings)


def original(name):
    """The content of a file of the package."""
    return gzip.decompress((Path(DEBIAN_FOLDER) / f"{name}.gz").read_bytes())


@installed
def test_a_slice_of_the_photographs(tmp_path):
    settings = config(train=30, held_out=5, seed=1)
    settings.prepare(tmp_path, tmp_path, "prepare@test")
    train = open_training(tmp_path, settings)
    with np.load(tmp_path / "test.npz") as archive:
        held_out = archive["arr_0"], archive["arr_1"]
    assert settings.counts(10)[:2] == (len(train), len(held_out[0])) == (300, 50)
    assert np.bincount(train.labels).tolist() == [30] * 10
    assert np.bincount(held_out[1]).tolist() == [5] * 10
    parts = {"train": (train.images(np.arange(300)), train.labels), "t10k": held_out}
    for part, (images, labels) in parts.items():
        assert images.shape[1:] == (32, 32, 3)
        inner = images[:, 2:30, 2:30, 0]
        assert images.sum(dtype=int) == 3 * inner.sum(dtype=int)
        rows = np.frombuffer(original(f"{part}-images-idx3-ubyte"), np.uint8, offset=16).reshape(-1, 784)
        kinds = np.frombuffer(original(f"{part}-labels-idx1-ubyte"), np.uint8, offset=8)
        known = {row.tobytes(): kind for row, kind in zip(rows, kinds, strict=True)}
        assert [known[image.tobytes()] for image in inner] == labels.tolist()


@installed
def test_the_seed_chooses_which_photographs():
    first, same, other = (config(train=3, held_out=2, seed=seed).load() for seed in (0, 0, 1))
    for part in range(2):
        assert np.array_equal(first[part].images, same[part].images)
        assert not np.array_equal(first[part].images, other[part].images)


@installed
def test_names_belong_to_their_labels():
    """The first training image is an ankle boot, the next two are T-shirts, as the data set's own description shows."""
    labels = from_idx(original("train-labels-idx1-ubyte"))[:10]
    assert [FashionMnist.names[k] for k in labels] == [
        *("ankle boot", "T-shirt/top", "T-shirt/top", "dress", "T-shirt/top"),
        *("pullover", "sneaker", "pullover", "sandal", "sandal"),
    ]


@installed
@pytest.mark.parametrize("name", MD5)
def test_arrays_make_the_same_file_again(name):
    content = original(name)
    assert hashlib.md5(to_idx(from_idx(content))).hexdigest() == MD5[name]


def test_the_file_format():
    content = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 1, 0]) + bytes(range(256)) * 2
    array = from_idx(content)
    assert array.shape == (2, 1, 256)
    assert array[1, 0].tolist() == list(range(256))
    assert to_idx(array) == content


def test_a_data_set_in_the_layout_of_the_hub_gives_the_four_files(tmp_path, monkeypatch):
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    random = np.random.default_rng(0)
    expected = {}
    for part, split, count in (("train", "train", 12), ("t10k", "test", 5)):
        pixels = random.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        labels = random.integers(0, 10, count, dtype=np.uint8)
        rows = datasets.Dataset.from_dict(
            {"image": [Image.fromarray(p) for p in pixels], "label": labels.tolist()}
        )
        (tmp_path / "hub").mkdir(exist_ok=True)
        rows.to_parquet(str(tmp_path / f"hub/{split}-00000-of-00001.parquet"))
        expected[f"{part}-images-idx3-ubyte"] = to_idx(pixels)
        expected[f"{part}-labels-idx1-ubyte"] = to_idx(labels)
    assert hub_contents(str(tmp_path / "hub")) == expected
    assert expected.keys() == MD5.keys()


def one_line(folder):
    with pytest.raises(UserError) as caught:
        config(folder=str(folder)).load()
    message = str(caught.value)
    assert "\n" not in message
    for way in ("apt install dataset-fashion-mnist", "as prepare.folder", "zalando-datasets/fashion_mnist"):
        assert way in message
    return message


def test_without_files_and_network_every_way_is_named(tmp_path, monkeypatch):
    import datasets
    from huggingface_hub import constants

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    for name in FILES[:2]:
        (tmp_path / name).touch()
    assert f"{tmp_path} has no t10k-images-idx3-ubyte.gz and the hub cannot be read" in one_line(tmp_path)


def test_other_content_is_refused(tmp_path):
    for name in FILES:
        (tmp_path / name).write_bytes(gzip.compress(b"digits"))
    message = one_line(tmp_path)
    found = hashlib.md5(b"digits").hexdigest()
    assert (
        f"train-images-idx3-ubyte of {tmp_path} is not Fashion-MNIST's: its content has md5 {found}"
        in message
    )


@pytest.mark.parametrize(
    "content", [b"no gzip", gzip.compress(bytes(100), mtime=0)[:-9]], ids=["no gzip", "cut off"]
)
def test_a_damaged_file_is_named(tmp_path, content):
    for name in FILES:
        (tmp_path / name).write_bytes(content)
    assert one_line(tmp_path).startswith(f"{tmp_path / FILES[0]} cannot be read (")
