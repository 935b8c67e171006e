"""Reference statistics are the same whichever way the images come, and what is wrong with them is told."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from metrics import UserError, real
from metrics.cli import run
from metrics.judges.cnn import Cnn
from metrics.moments import Moments, Selection
from metrics.pictures import centre_crop
from metrics.real import ArrayImages, open_real
from metrics.reference import Reference, make_reference, read_reference

CLASSES = ["one", "three", "two"]  # in the order of their folders, as everybody sorts them
BATCH = 7


@pytest.fixture(scope="module")
def scans(digits: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """20 images of 3 classes, sorted by class as a folder is: (20, 32, 32, 3) and (20,)."""
    images = digits[0][:20]
    labels = np.sort(np.arange(20) % 3)
    return images, labels


def png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "png")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def ways(scans: tuple[np.ndarray, np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The same images as everything that the command takes."""
    from datasets import ClassLabel, Dataset, DatasetDict, Features, Value
    from datasets import Image as ImageFeature

    folder, (images, labels) = tmp_path_factory.mktemp("ways"), scans
    np.savez(folder / "batch.npz", arr_0=images, arr_1=labels)
    for index, (image, label) in enumerate(zip(images, labels, strict=True)):
        file = folder / "plain" / CLASSES[label] / f"{index:03d}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(png(image))
    columns = {
        "name": Value("string"),
        "picture": ImageFeature(),
        "coarse": ClassLabel(names=["a", "b"]),
        "fine": ClassLabel(names=CLASSES),
    }
    rows = {
        "name": [str(i) for i in range(20)],
        "picture": [{"bytes": png(image), "path": None} for image in images],
        "coarse": (labels > 0).astype(int).tolist(),
        "fine": labels.tolist(),
    }
    data = Dataset.from_dict(rows, features=Features(columns))
    data.save_to_disk(str(folder / "saved"))
    DatasetDict({"train": data, "other": data.select(range(5))}).save_to_disk(str(folder / "dict"))
    (folder / "parquet/data").mkdir(parents=True)
    data.to_parquet(folder / "parquet/data/train-00000-of-00001.parquet")
    data.select(range(5)).to_parquet(folder / "parquet/data/test-00000-of-00001.parquet")
    return {
        "npz": f"{folder}/batch.npz",
        "folder": f"{folder}/plain",
        "saved": f"{folder}/saved",
        "split folder": f"{folder}/dict/train",
        "split": f"{folder}/dict:train",
        "parquet": f"{folder}/parquet:train",
        "hub": f"hf:{folder}/parquet:train",  # the hub's path, asked for what lies here
    }


@pytest.fixture(scope="module")
def expected(scans: tuple[np.ndarray, np.ndarray], cnn: Cnn) -> Reference:
    return make_reference(ArrayImages(*scans), cnn, BATCH)


@pytest.mark.parametrize("way", ["npz", "folder", "saved", "split folder", "split", "parquet", "hub"])
def test_every_way_gives_the_same_statistics(
    way: str, ways: dict[str, str], expected: Reference, cnn: Cnn
) -> None:
    got = make_reference(open_real(ways[way]), cnn, BATCH)
    assert np.allclose(got.mu, expected.mu, rtol=0, atol=1e-12)
    assert np.allclose(got.sigma, expected.sigma, rtol=0, atol=1e-12)
    assert np.array_equal(got.features, expected.features)
    assert np.array_equal(got.labels, expected.labels)  # of a data set, the finest labels
    assert (got.n, got.crop, got.left_out) == (20, "none", ())


@pytest.mark.parametrize("way", ["folder", "saved", "hub"])
def test_crop_is_adms_and_recorded(way: str, ways: dict[str, str], scans: tuple, cnn: Cnn) -> None:
    class Small:
        name, sha256 = "mean colour", None

        def features(self, images: Any) -> Any:
            assert images.shape[1:] == (3, 8, 8)
            return images.float().flatten(1)

        head = staticmethod(cnn.head)

    got = make_reference(open_real(ways[way], crop=8), Small(), BATCH)
    cropped = np.stack([np.asarray(centre_crop(Image.fromarray(x), 8)) for x in scans[0]])
    assert np.array_equal(got.features, cropped.transpose(0, 3, 1, 2).reshape(20, -1))
    assert got.crop == "adm-8"


def test_centre_crop_halves_by_boxes_then_resizes(scans: tuple) -> None:
    from marval.data.decoding import centre_crop as of_the_training_images

    random = np.random.default_rng(0)
    tall = random.integers(0, 256, (70, 33, 3), dtype=np.uint8)  # shorter side 33: halved once, to 16 x 35
    cropped = np.asarray(centre_crop(Image.fromarray(tall), 16))
    halved = Image.fromarray(tall).resize((16, 35), Image.Resampling.BOX)
    assert np.array_equal(cropped, np.asarray(halved)[9:25])
    for shape in [(70, 33, 3), (64, 64, 3), (20, 47, 3), (9, 8, 3)]:
        image = Image.fromarray(random.integers(0, 256, shape, dtype=np.uint8))
        assert np.array_equal(np.asarray(centre_crop(image, 16)), of_the_training_images(image, 16))


@pytest.fixture
def mixed(tmp_path: Path, scans: tuple[np.ndarray, np.ndarray]) -> Path:
    """Images of several sizes and modes, and two damaged files."""
    folder = tmp_path / "mixed"
    folder.mkdir()
    for index, mode in enumerate(["RGB", "L", "CMYK", "RGBA", "P", "RGB"]):
        size = (32 + index, 40)
        Image.fromarray(scans[0][index]).resize(size).convert(mode).save(
            folder / f"{index}.{'jpg' if mode == 'CMYK' else 'png'}"
        )
    (folder / "6.png").write_bytes(png(scans[0][6])[:80])
    (folder / "7.jpeg").write_text("not an image")
    return folder


def test_damaged_images_are_named_and_counted(
    mixed: Path, cnn: Cnn, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    cnn.save(tmp_path / "cnn")
    command = f"statistics {mixed} --crop 32 --judge {tmp_path}/cnn.json -o {tmp_path}/stats.npz"
    with pytest.warns(UserWarning, match="left out, damaged") as told:
        assert run(command.split()) == 0
    names = [str(warning.message) for warning in told if "left out" in str(warning.message)]
    assert [name.split("damaged: ")[1].split(" (")[0] for name in names] == [
        f"{mixed}/6.png",
        f"{mixed}/7.jpeg",
    ]
    assert "6 images (crop adm-32; 2 damaged left out)" in capsys.readouterr().out
    reference = read_reference(tmp_path / "stats.npz")
    assert (reference.n, reference.crop, len(reference.left_out)) == (6, "adm-32", 2)


def test_too_many_damaged_images_are_refused(mixed: Path, cnn: Cnn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(real, "DAMAGED_LIMIT", 1)
    with pytest.raises(UserError, match=r"more than 1 damaged images, first .*6\.png"):
        make_reference(open_real(str(mixed), 32), cnn)


def test_without_crop_images_must_be_alike(mixed: Path, cnn: Cnn, ways: dict[str, str]) -> None:
    with pytest.raises(UserError, match=r"1\.png: image mode is L, not RGB.*--crop converts"):
        make_reference(open_real(str(mixed)), cnn)
    (mixed / "1.png").unlink()
    (mixed / "2.jpg").unlink()
    (mixed / "3.png").unlink()
    (mixed / "4.png").unlink()
    with pytest.raises(UserError, match=r"5\.png: 37 x 40 pixels, but the first image has 32 x 40"):
        make_reference(open_real(str(mixed)), cnn)
    with pytest.raises(UserError, match=r"batch\.npz: the images of a batch file have one size"):
        open_real(ways["npz"], crop=16)


def one_line(act: Callable[[], object], match: str) -> None:
    with pytest.raises(UserError, match=match) as caught:
        act()
    assert "\n" not in str(caught.value)


def test_bad_names_of_data_sets(ways: dict[str, str], tmp_path: Path) -> None:
    dictionary, parquet = ways["split"].removesuffix(":train"), ways["parquet"].removesuffix(":train")
    one_line(lambda: open_real(dictionary), r"give one of its splits \(train, other\) as FOLDER:SPLIT")
    one_line(lambda: open_real(f"{parquet}:valid"), r"one of its splits \(train, test\)")
    one_line(lambda: open_real(f"{ways['hub'].removesuffix('train')}valid"), "cannot be read .*valid")
    one_line(lambda: open_real("hf:cifar10"), "write hf:NAME:SPLIT or hf:NAME@CONFIG:SPLIT")
    one_line(lambda: open_real("cifar10"), "no such file or folder: give an npz batch.* or hf:NAME:SPLIT")


def test_no_network_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets
    import huggingface_hub

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    one_line(
        lambda: open_real("hf:nobody/nothing@small:train"), "hf:nobody/nothing@small:train: .*the network"
    )


def test_columns_are_found_by_their_types(tmp_path: Path, scans: tuple, cnn: Cnn) -> None:
    from datasets import ClassLabel, Dataset, Features, Value
    from datasets import Image as ImageFeature

    pictures = [{"bytes": png(image), "path": None} for image in scans[0]]
    pictures[3] = {"bytes": pictures[3]["bytes"][:70], "path": None}
    fine: list[int | None] = [0] * 20
    fine[5] = None
    columns = {"x": ImageFeature(), "label": Value("int64"), "fine": ClassLabel(names=CLASSES)}
    rows = {"x": pictures, "label": list(range(20)), "fine": fine}
    Dataset.from_dict(rows, features=Features(columns)).save_to_disk(str(tmp_path / "one"))
    got = make_reference(open_real(str(tmp_path / "one")), cnn)
    assert got.labels is None  # an image without a label: then none has one
    assert got.n == 19
    assert got.left_out[0].startswith(f"{tmp_path}/one image 3 (")
    both = {"x": ImageFeature(), "y": ImageFeature()}
    Dataset.from_dict({"x": pictures, "y": pictures}, features=Features(both)).save_to_disk(
        str(tmp_path / "two")
    )
    one_line(
        lambda: open_real(str(tmp_path / "two")),
        r"2 columns of images \(columns: x, y\): save it with exactly one",
    )


def test_moments_do_not_depend_on_batches_and_keep_their_digits() -> None:
    rows = np.random.default_rng(0).normal(size=(1000, 5)) * [1, 2, 3, 1e-3, 1] + 1e5
    whole, parts = Moments(), Moments()
    whole.add(rows)
    for part in np.split(rows, [1, 2, 400, 401, 999]):
        parts.add(part)
    assert parts.n == 1000
    for moments in (whole, parts):
        assert np.allclose(moments.mean, rows.mean(0), rtol=1e-14)
        # sums of squares would leave nothing of the fourth column's variance of 1e-6
        assert np.allclose(moments.covariance, np.cov(rows.T), rtol=1e-6, atol=1e-9)


def test_selection_is_fair_ordered_and_the_same_for_any_batches() -> None:
    rows = np.arange(500)
    chosen = []
    for cuts in ([], [3, 100, 101, 350]):
        selection = Selection(50)
        for part in np.split(rows, cuts):
            selection.add(part, -part)
        chosen.append(selection.columns)
    assert np.array_equal(chosen[0], chosen[1])
    kept, other = chosen[0]
    assert len(kept) == 50
    assert np.array_equal(kept, np.unique(kept))
    assert np.array_equal(other, -kept)
    counts = np.zeros(500)
    for seed in range(400):
        selection = Selection(50, seed)
        selection.add(rows)
        counts[selection.columns[0]] += 1
    # each row is kept in a tenth of the draws: 40 +- 6
    assert 39 < counts[:250].mean() < 41
    assert counts.min() > 15
    assert counts.max() < 70


def test_features_beyond_the_cap_are_not_kept(scans: tuple, cnn: Cnn, expected: Reference) -> None:
    got = make_reference(ArrayImages(*scans), cnn, BATCH, keep=6)
    assert got.n == 20
    assert np.array_equal(got.mu, expected.mu)
    assert got.features is not None
    assert expected.features is not None
    assert got.features.shape == (6, expected.features.shape[1])
    places = [int(np.flatnonzero((expected.features == row).all(1))[0]) for row in got.features]
    assert got.labels is not None
    assert got.labels.tolist() == scans[1][places].tolist()


def test_one_image_is_too_few(scans: tuple, cnn: Cnn) -> None:
    with pytest.raises(UserError, match="1 readable images"):
        make_reference(ArrayImages(scans[0][:1], None), cnn)
