"""An ImageNet-like folder with what real ones have in it: damaged files, copies, grey, CMYK, PNG under a JPEG's name."""

import io
import json
import logging
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from marval.data import imagenet, verification
from marval.data.collection import read_images
from marval.data.images import open_training
from marval.data.sources.image_folder import FolderReader, ImageFolder
from marval.errors import UserError

SIZE = 16
CLASSES = ("n01440764", "n02012849", "n15075141")
NAMES = ["tench", "crane bird", "toilet paper"]


def photograph(seed, width=30, height=24):
    """Smooth random colours, which JPEG keeps to a few levels."""
    corners = np.random.default_rng(seed).integers(40, 216, (3, 3, 3), dtype=np.uint8)
    return Image.fromarray(corners).resize((width, height), Image.Resampling.BICUBIC)


def jpeg(image, **options):
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=95, **options)
    return stream.getvalue()


def png(image):
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def write(root, files):
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)


def config(root, **changes):
    settings = {"data": "image-folder", "folder": str(root), "size": SIZE, "held_out": 1, "max_damaged": 3}
    return ImageFolder.model_validate({**settings, **changes})


def prepare(root, out, **changes):
    config(root, **changes).prepare(out / "data", out / "runs", "prepare@test")
    return pq.read_table(out / "data/train.parquet").to_pylist()


def opened(root, out):
    return open_training(out / "data", config(root))


PLAIN = {
    f"train/{wnid}/{n}.JPEG": jpeg(photograph(10 * k + n)) for k, wnid in enumerate(CLASSES) for n in range(6)
}
TURNED = Image.Exif()
TURNED[0x0112] = 6  # a viewer would turn it by a quarter
SPECIAL = {
    "train/n01440764/cmyk.JPEG": jpeg(Image.new("CMYK", (20, 20), (255, 0, 0, 0))),
    "train/n01440764/copy.JPEG": PLAIN["train/n01440764/2.JPEG"],
    "train/n01440764/cut.JPEG": PLAIN["train/n01440764/1.JPEG"][:-100],
    "train/n01440764/grey.JPEG": jpeg(photograph(50).convert("L")),
    "train/n02012849/other_label.JPEG": PLAIN["train/n01440764/3.JPEG"],
    "train/n02012849/png.JPEG": png(photograph(60, SIZE, SIZE)),
    "train/n02012849/text.JPEG": b"404 not found",
    "train/n02012849/turned.JPEG": jpeg(photograph(70), exif=TURNED),
    "train/n15075141/.hidden": b"a file manager's",
    "train/n15075141/empty.JPEG": b"",
}
DAMAGED = ["train/n01440764/cut.JPEG", "train/n02012849/text.JPEG", "train/n15075141/empty.JPEG"]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("imagenet")
    write(folder, PLAIN | SPECIAL)
    return folder


@pytest.fixture(scope="module")
def prepared(root, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    return out, prepare(root, out)


def test_every_file_is_accounted_for(prepared):
    rows = {row["image"]: row for row in prepared[1]}
    assert list(rows) == sorted(name for name in PLAIN | SPECIAL if "hidden" not in name)
    problems = {name: row["problem"].split(" (")[0] for name, row in rows.items() if row["problem"]}
    assert [problems.pop(name) for name in DAMAGED] == [
        "image file is truncated",
        "not an image",
        "not an image",
    ]
    assert problems.pop("train/n01440764/copy.JPEG") == "copy of train/n01440764/2.JPEG"
    assert list(problems.values()) == ["held out"] * 3
    assert all((row["half"] is None) == (row["problem"] is not None) for row in rows.values())
    assert {row["label"] for row in rows.values() if not row["problem"]} == {0, 1, 2}


def test_files_are_read_by_what_they_are(root, prepared):
    known = {row["image"].split("/")[-1]: row for row in prepared[1]}
    rows = [known[f"{kind}.JPEG"] for kind in ("cmyk", "grey", "png", "turned")]
    places, sha256 = [row["image"] for row in rows], [row["sha256"] for row in rows]
    cmyk, grey, from_png, turned = read_images(FolderReader(root), places, sha256, SIZE).astype(int)
    assert np.abs(cmyk - [0, 255, 255]).max() <= 3
    assert np.ptp(grey, axis=-1).max() == 0
    assert np.ptp(grey) > 0
    assert np.array_equal(from_png, np.asarray(photograph(60, SIZE, SIZE)))
    with Image.open(io.BytesIO(jpeg(photograph(70)))) as upright:
        expected = np.asarray(upright.resize((20, 16), Image.Resampling.BICUBIC))[:, 2:18]
    assert np.abs(turned - expected).max() <= 1


def test_images_are_centre_crops_in_the_order_asked_for(root, prepared):
    images = opened(root, prepared[0])
    both = images.images(np.array([3, 0, 3]))
    assert both.shape == (3, SIZE, SIZE, 3)
    assert both.dtype == np.uint8
    assert np.array_equal(both[0], both[2])
    assert np.array_equal(both[1], images.images(np.array([0]))[0])


def test_equal_files_have_equal_content_numbers_and_halves(root, prepared):
    out, rows = prepared
    images = opened(root, out)
    used = [row["image"] for row in rows if row["problem"] is None]
    one, other = used.index("train/n01440764/3.JPEG"), used.index("train/n02012849/other_label.JPEG")
    assert images.content[one] == images.content[other]
    assert images.half[one] == images.half[other]
    assert len(set(images.content)) == len(images) - 1
    for label in range(3):
        assert (
            abs((2 * images.half[images.labels == label] - 1).sum()) <= 2
        )  # a copy may follow its other label


def test_held_out_images_are_not_trained_on(root, prepared):
    out, rows = prepared
    with np.load(out / "data/test.npz") as archive:
        held_out, labels = archive["arr_0"], archive["arr_1"]
    assert labels.tolist() == [0, 1, 2]
    assert held_out.shape == (3, SIZE, SIZE, 3)
    images = opened(root, out)
    train = images.images(np.arange(len(images))).astype(int)
    assert all(np.abs(train - image).max(axis=(1, 2, 3)).min() > 0 for image in held_out)
    chosen = [row["image"] for row in rows if row["problem"] == "held out"]
    assert not {"train/n01440764/3.JPEG", "train/n02012849/other_label.JPEG"} & set(chosen)


def test_everything_follows_from_the_seed(root, prepared, tmp_path):
    out, rows = prepared
    assert prepare(root, tmp_path) == rows
    assert (tmp_path / "data/test.npz").read_bytes() == (out / "data/test.npz").read_bytes()
    other = [prepare(root, tmp_path, seed=seed) for seed in (1, 2)]
    for column in ("problem", "half"):
        assert len({str([row[column] for row in found]) for found in (rows, *other)}) > 1


def test_damaged_images_are_named(root, tmp_path, capsys, caplog):
    with caplog.at_level(logging.INFO, "marval"):
        prepare(root, tmp_path, max_damaged=0.15)  # of 27
    told, log = capsys.readouterr().err, caplog.text
    for name in (
        "n01440764/cut.JPEG (image file is truncated",
        "n02012849/text.JPEG (not an image",
        "empty.JPEG",
    ):
        assert name in told
        assert name in log
    assert "27 training images: used 20, held out 3, copies of others in their class 1, damaged 3" in told
    assert "damaged 3" in log
    assert "val has no class folders: images are held out of train instead" in told


@pytest.mark.parametrize("allowed", [0, 2, 0.1])
def test_too_many_damaged_images_stop(root, tmp_path, allowed):
    with pytest.raises(
        UserError, match=f"3 of 27 images are damaged, more than prepare.max_damaged, {allowed}"
    ) as caught:
        prepare(root, tmp_path, max_damaged=allowed)
    message = str(caught.value)
    assert "\n" not in message
    assert "train/n01440764/cut.JPEG (image file is truncated" in message
    assert not (tmp_path / "data").exists()


def test_an_interrupted_check_goes_on(root, prepared, tmp_path, monkeypatch):
    monkeypatch.setattr(verification, "PART", 4)
    prepare(root, tmp_path)
    parts = sorted((tmp_path / "runs/checked").glob("*.json"))  # their seals, .sha256, stand beside
    assert len(parts) == 7
    for path in parts[::2]:
        path.unlink()
    shutil.rmtree(tmp_path / "data")
    assert prepare(root, tmp_path) == prepared[1]
    assert sorted((tmp_path / "runs/checked").glob("*.json")) == parts


def test_changed_files_are_checked_again_and_never_read_unchecked(tmp_path):
    root, names = tmp_path / "images", [f"train/a/{n}.JPEG" for n in range(2)]
    write(root, {name: jpeg(photograph(n)) for n, name in enumerate(names)})
    before = prepare(root, tmp_path)
    write(root, {name: jpeg(photograph(5 + n)) for n, name in enumerate(names)})
    with pytest.raises(
        UserError, match=r"train/a/\d.JPEG of the training images has changed since the stage prepare"
    ):
        opened(root, tmp_path).images(np.array([0]))
    after = prepare(root, tmp_path)
    assert not {row["sha256"] for row in before} & {row["sha256"] for row in after}
    assert opened(root, tmp_path).images(np.array([0])).shape == (1, SIZE, SIZE, 3)
    shutil.rmtree(root / "train/a")
    with pytest.raises(
        UserError, match=r"train/a/\d.JPEG of the training images cannot be read: No such file"
    ):
        opened(root, tmp_path).images(np.array([0]))


def test_val_is_held_out_where_there_is_one(tmp_path):
    root = tmp_path / "images"
    val = {
        f"val/{wnid}/{n}.JPEG": jpeg(photograph(90 + 10 * k + n))
        for k, wnid in enumerate(CLASSES)
        for n in range(3)
    }
    trained = {
        "val/n01440764/also_in_train.JPEG": PLAIN["train/n01440764/0.JPEG"],
        "val/n01440764/cut.JPEG": b"\xff\xd8",
    }
    write(root, PLAIN | val | trained)
    rows = prepare(root, tmp_path, held_out=50)
    assert [row["image"] for row in rows if row["problem"] is None] == sorted(PLAIN)
    with np.load(tmp_path / "data/test.npz") as archive:
        assert archive["arr_1"].tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
        pixels = archive["arr_0"]
    single = tmp_path / "single"
    write(single, {"train/a/0.JPEG": val["val/n01440764/0.JPEG"], "train/a/1.JPEG": jpeg(photograph(1))})
    prepare(single, tmp_path / "single_out")
    seen = [opened(single, tmp_path / "single_out").images(np.array([0]))[0]]
    with np.load(tmp_path / "single_out/data/test.npz") as archive:
        seen.append(archive["arr_0"][0])
    assert any(np.array_equal(pixels[0], image) for image in seen)


def test_classes_are_named_by_index(prepared):
    assert json.loads((prepared[0] / "data/classes.json").read_text()) == NAMES


def test_the_thousand_classes_are_in_the_order_of_their_ids():
    ids = imagenet.wnids()
    names = imagenet.entity_names()
    assert len(ids) == len(names) == 1000
    assert list(ids) == sorted(ids)
    assert len(set(names)) == 998  # two names belong to two classes each
    assert [names[ids[wnid]] for wnid in ("n02012849", "n03126707", "n03773504", "n04008634")] == [
        "crane bird", "construction crane", "missile", "missile",
    ]  # fmt: skip


def test_other_classes_are_named_by_folder_or_file(tmp_path):
    root = tmp_path / "images"
    names = enumerate(("zebra", "ant"))
    write(
        root, {f"train/{name}/{n}.JPEG": jpeg(photograph(10 * k + n)) for k, name in names for n in range(2)}
    )
    prepare(root, tmp_path)
    assert json.loads((tmp_path / "data/classes.json").read_text()) == ["ant", "zebra"]
    (root / "classes.json").write_text('{"zebra": "a zebra", "ant": "an ant"}')
    prepare(root, tmp_path)
    assert json.loads((tmp_path / "data/classes.json").read_text()) == ["an ant", "a zebra"]
    (root / "classes.json").write_text('{"zebra": "a zebra"}')
    with pytest.raises(UserError, match=r"classes\.json must be a mapping that names every folder"):
        prepare(root, tmp_path)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "prepare.folder is .* which has no folder train"),
        ({"train/readme.txt": b""}, "has no images: they belong in one folder for each class"),
        (PLAIN | {"val/n99999999/0.JPEG": b""}, "val/n99999999 is a class that train does not have"),
        ({"train/a/0.JPEG": PLAIN["train/n01440764/0.JPEG"]}, r"class 0 \(a\) has no image left to train on"),
        (
            PLAIN | {"val/n01440764/0.JPEG": PLAIN["train/n01440764/0.JPEG"]},
            "no held-out image is sound and not trained on",
        ),
    ],
)
def test_unusable_folders_are_told(tmp_path, files, words):
    write(tmp_path / "images", files)
    with pytest.raises(UserError, match=words) as caught:
        prepare(tmp_path / "images", tmp_path)
    assert "\n" not in str(caught.value)
