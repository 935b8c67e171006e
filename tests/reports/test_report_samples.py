"""Which samples are shown, and how they are read and embedded."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import made_up
import numpy as np
import pytest
from PIL import Image

from reports import pixels, samples
from reports.models import parameters_million
from reports.paper import Paper
from reports.results import Results


def test_only_draws_that_every_variant_has_are_chosen() -> None:
    one = np.array([[0, i, i % 2] for i in range(20)])
    two = np.array([[0, i, i % 2] for i in range(10, 30)])
    chosen = samples._choose([one, two])
    assert {tuple(key) for key in chosen.tolist()} <= {tuple(key) for key in one.tolist()} & {
        tuple(key) for key in two.tolist()
    }
    assert len(chosen) == 2 * samples.EACH
    assert (np.diff(chosen[:, 2]) >= 0).all()


def test_the_choice_is_the_same_every_time_and_no_prefix() -> None:
    keys = np.array([[0, i, i % 10] for i in range(400)])
    first, again = samples._choose([keys]), samples._choose([keys])
    assert (first == again).all()
    assert first[:, 1].max() > 100


def test_nothing_in_common_falls_back_to_the_ready_made_grids(project: Path) -> None:
    file = project / "results/made-up/samples/marval.npz"
    with np.load(file) as archive:
        arrays = dict(archive)
    np.savez(file, **(arrays | {"index": arrays["index"] + 10_000}))
    (gallery, *_) = samples.galleries(made_up.opened(project), Paper())
    assert "as the sampling stage wrote them" in gallery.text
    assert [p.caption for p in gallery.pictures] == ["teacher-100", "marval", "marval-rl", "teacher-1"]


def test_a_sheet_has_the_first_images_of_its_class_and_says_of_how_many(project: Path) -> None:
    """The second seed comes first in the file and its indices run backwards; a tile's brightness is its index."""
    index = np.tile(np.arange(130)[::-1], 2)
    images = np.broadcast_to(index[:, None, None, None], (260, 32, 32, 3)).astype(np.uint8)
    labels, seed = (index >= 110).astype(int), np.repeat([1, 0], 130)
    for path in (project / "results/made-up/samples").glob("*.npz"):
        np.savez(path, arr_0=images, arr_1=labels, seed=seed, index=index)
    many, few = samples.sheets(made_up.opened(project), Paper())
    assert (many.each, few.each) == ("the first 50 of 110 images", "every image")
    for sheet, wanted in ((many, range(50)), (few, range(110, 130))):
        with Image.open(io.BytesIO(base64.b64decode(sheet.pictures[0].uri.partition(",")[2]))) as picture:
            shown = np.array(picture.convert("LA"))[16::33, 16::33]
        assert shown[..., 0].ravel().tolist() == list(wanted)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("readable", [1, pixels.READABLE])
def test_rows_are_read_alike_whole_or_mapped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, save, readable: int
) -> None:
    images = np.random.default_rng(0).integers(0, 256, (12, 4, 4, 3), np.uint8)
    save(tmp_path / "a.npz", arr_0=images, arr_1=np.arange(12))
    monkeypatch.setattr(pixels, "READABLE", readable)
    rows = pixels.rows_of(tmp_path / "a.npz", "arr_0", np.array([3, 7]))
    if save is np.savez_compressed and readable == 1:
        assert rows is None  # too large to unpack: the caller shows the ready-made grid
    else:
        assert rows is not None
        assert (rows == images[[3, 7]]).all()


def test_small_images_are_embedded_pixel_by_pixel() -> None:
    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), np.uint8)
    picture = pixels.grid(images, 2, "alt", "caption", gap=2)
    content = base64.b64decode(picture.uri.removeprefix("data:image/png;base64,"))
    shown = np.asarray(Image.open(io.BytesIO(content)).convert("RGBA"))
    assert shown.shape == (18, 18, 4)
    assert (shown[:8, :8, :3] == images[0]).all()
    assert (shown[10:, 10:, :3] == images[3]).all()
    assert (shown[8:10] == 0).all()


def test_parameters_are_counted_from_the_head_of_the_file(project: Path) -> None:
    found = parameters_million(made_up.opened(project), "teacher-30")
    assert found is not None
    assert found[0] == pytest.approx(0.4)
    assert found[1].name == "seed-0.safetensors"


def test_samples_over_training_show_the_first_seed_of_each_model(tmp_path: Path) -> None:
    folder = tmp_path / "results/made-up/training"
    made_up.write_json(folder.parent / "settings.json", made_up.settings())
    folder.mkdir(parents=True)
    for name, wide in (("marval-s2", 320), ("marval-s10", 400), ("teacher-s0", 320)):
        Image.new("RGB", (wide, 160)).save(folder / f"{name}.png")
    shown = samples.galleries(Results.open("made-up", folder.parent), Paper())
    gallery = next(g for g in shown if g.title == "Samples over training")
    assert [picture.caption for picture in gallery.pictures] == ["teacher", "marval"]
    assert [picture.width for picture in gallery.pictures] == [320, 320]
