"""A data set that `datasets` loads, from a folder: the same images, index and messages as from image files."""

import io
import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from marval.data.images import open_training
from marval.data.sources.hub import HubDataset
from marval.errors import UserError

SIZE = 8


def pixels(seed):
    return np.random.default_rng(seed).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)


def png(array):
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, "PNG")
    return stream.getvalue()


def data_set(images, labels, names=("cat", "dog")):
    from datasets import ClassLabel, Dataset, Features
    from datasets import Image as ImageFeature

    features = Features({"picture": ImageFeature(), "kind": ClassLabel(names=list(names))})
    stored = [{"bytes": content, "path": None} if content is not None else None for content in images]
    return Dataset.from_dict({"picture": stored, "kind": labels}, features=features)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Split train: 10 sound images (row 3 a copy of row 1), a damaged one and a missing one; split test: 4 images."""
    from datasets import DatasetDict

    images = [png(pixels(1 if n == 3 else n)) for n in range(10)]
    train = data_set([*images, b"no image", None], [n % 2 for n in range(12)])
    test = data_set([png(pixels(100 + n)) for n in range(4)], [1, 0, 1, 0])
    path = tmp_path_factory.mktemp("hub") / "saved"
    DatasetDict({"train": train, "test": test}).save_to_disk(str(path))
    return path


def config(folder, **changes):
    settings = {
        "data": "hub", "dataset": str(folder), "image": "picture", "label": "kind", "size": SIZE, "held_out": 1,
        "max_damaged": 2,
    }  # fmt: skip
    return HubDataset.model_validate({**settings, **changes})


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    """What has been checked once; workers take their time to import `datasets`."""
    return tmp_path_factory.mktemp("checked")


def prepare(settings, out, checked=None):
    settings.prepare(out / "data", checked or out / "runs", "prepare@test")
    return pq.read_table(out / "data/train.parquet").to_pylist()


def test_rows_are_the_images(folder, checked, tmp_path, capsys):
    settings = config(folder)
    rows = prepare(settings, tmp_path, checked)
    assert [row["image"] for row in rows] == [f"train:{n}" for n in range(12)]
    assert [row["label"] for row in rows] == [n % 2 for n in range(12)]
    assert [rows[n]["problem"] for n in (3, 10, 11)] == [
        "copy of train:1", "not an image", "cannot be read: no image in this row",
    ]  # fmt: skip
    assert "damaged image, not used: train:10 (not an image)" in capsys.readouterr().err
    images = open_training(tmp_path / "data", settings)
    used = [n for n, row in enumerate(rows) if row["problem"] is None]
    assert len(used) == 7  # two are held out
    order = np.random.default_rng(0).permutation(7)
    assert np.array_equal(images.images(order), [pixels(used[n]) for n in order])
    assert images.labels.tolist() == [n % 2 for n in used]
    assert json.loads((tmp_path / "data/classes.json").read_text()) == ["cat", "dog"]


def test_held_out_images_come_from_a_split_of_their_own(folder, tmp_path):
    rows = prepare(config(folder, held_out_split="test", held_out=2), tmp_path)
    assert sum(row["problem"] is None for row in rows) == 9
    with np.load(tmp_path / "data/test.npz") as archive:
        assert np.array_equal(archive["arr_0"], [pixels(100 + n) for n in range(4)])
        assert archive["arr_1"].tolist() == [1, 0, 1, 0]


def test_a_folder_of_parquet_files_is_read_too(tmp_path, monkeypatch):
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "plain/data").mkdir(parents=True)
    images = data_set([png(pixels(n)) for n in range(6)], [0, 1] * 3)
    images.to_parquet(str(tmp_path / "plain/data/train-00000-of-00001.parquet"))
    settings = config(tmp_path / "plain")
    rows = prepare(settings, tmp_path)
    used = [n for n, row in enumerate(rows) if row["problem"] is None]
    found = open_training(tmp_path / "data", settings).images(np.arange(4))
    assert np.array_equal(found, [pixels(n) for n in used])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"image": "photo"}, "prepare.image is 'photo', but split train of .* has the columns picture, kind"),
        ({"label": "class"}, "prepare.label is 'class', but split train of .* has the columns picture, kind"),
        ({"label": "picture"}, "prepare.label is 'picture', which is not a ClassLabel"),
        ({"split": "validation"}, "whose split validation cannot be loaded"),
        ({"imagenet_names": True}, "prepare.imagenet_names is true, but .* has 2 classes, not 1000"),
        ({"held_out": 6}, r"class 0 \(cat\) has no image left to train on"),
        ({"max_damaged": 0.1}, r"2 of 12 images are damaged, .* allows: train:10 \(not an image\), train:11"),
    ],
)
def test_mistakes_are_told_in_one_line(folder, checked, tmp_path, changes, words):
    with pytest.raises(UserError, match=words) as caught:
        prepare(config(folder, **changes), tmp_path, checked)
    assert "\n" not in str(caught.value)


def test_images_without_labels_are_told(tmp_path):
    data_set([png(pixels(0))], [-1]).save_to_disk(str(tmp_path / "saved"))
    with pytest.raises(UserError, match=r"split train of .* has images without a label"):
        prepare(config(tmp_path / "saved"), tmp_path)


def test_offline_is_told_in_one_line(tmp_path, monkeypatch):
    import datasets
    from huggingface_hub import constants

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    with pytest.raises(
        UserError, match=r"prepare\.dataset is 'nobody/nothing', whose split train cannot be loaded"
    ) as caught:
        prepare(config("nobody/nothing"), tmp_path)
    assert "\n" not in str(caught.value)
    assert "without network it must be in the cache or a local folder" in str(caught.value)
