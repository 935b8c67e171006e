"""README's road from a folder of images to a report: the preset `custom`, on a small set in colour that is made here."""

import json
import re

import numpy as np
import pytest
import yaml
from PIL import Image

CLASSES = ("apple", "lime", "plum")
COLOURS = ((200, 40, 40), (60, 190, 50), (90, 40, 140))
IMAGES = 40  # of each class

# as `custom`, in steps and sizes that take seconds
SHORT = {
    "seeds": [0],
    "teacher_seeds": [0],
    "prepare": {"held_out": 4},
    "tokenizer": {"model": {"channels": [8, 8, 8], "norm_groups": 4}, "steps": 4, "batch": 8},
    "judges": {kind: {"steps": 3, "batch": 8} for kind in ("cnn", "clip", "image_reward", "pick_score")}
    | {"efficientnet": {"enlarged": 32}},
    "teacher": {
        "model": {"width": 16, "encoder_blocks": 1, "decoder_blocks": 1, "heads": 2, "head": {"width": 16, "blocks": 1}},
        "steps": 4,
        "batch": 8,
    },
    "distill": {
        "training": {"steps": 2, "batch": 4},
        "variants": dict.fromkeys(("marval-w1", "marval-w2", "marval-w4")),
    },
    "reinforce": {"training": {"batch": 2, "ar_steps": 2}, "variants": {"marval-rl": {"steps": 1, "snapshots": 1}}},
    "sample": {"images": 24, "batch": 12},
    "inpaint": {"variants": []},
    "evaluate": {"distances": {"inception_splits": 2}, "half_samples": 4, "frechet_points": 3},
    "speed": {"variants": ["teacher-4", "marval"], "batches": [1], "repetitions": 3},
    "showcase": {"ar_steps": 4, "seed": 0},
}  # fmt: skip
KEPT = ("teacher-4", "teacher-1", "marval", "marval-rl")


@pytest.fixture(scope="module")
def own(fresh, root, tmp_path_factory):
    """A checkout after README's first two commands, word for word but for the folder; nothing has run."""
    images = tmp_path_factory.mktemp("own-images")
    make_images(images)
    checkout = fresh.copy(tmp_path_factory.mktemp("own") / "marval")
    section = (root / "README.md").read_text().split("## Own images")[1]
    link, classes, last = re.search(r"```sh\n(.*?)```", section, re.S)[1].strip().splitlines()
    assert last == "make reproduce PRESET=custom"
    for command in (link.replace("/path/to/images", str(images)), classes):
        checkout.run("bash", "-c", command)
    return checkout


def make_images(folder) -> None:
    """A disc of its class's colour somewhere on grey noise, and one file that is no image."""
    generator = np.random.default_rng(0)
    rows, columns = np.mgrid[:72, :80]
    for name, colour in zip(CLASSES, COLOURS, strict=True):
        (folder / "train" / name).mkdir(parents=True)
        for i in range(IMAGES):
            y, x = generator.integers(24, 48, 2)
            pixels = generator.normal(120, 15, (72, 80, 3))
            pixels[(rows - y) ** 2 + (columns - x) ** 2 < 200] = colour
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / "train" / name / f"{i}.png")
    (folder / "train" / CLASSES[0] / "broken.png").write_bytes(b"no image")


def settings(checkout, preset: str = "custom") -> dict:
    checkout.marval("settings", preset)
    return json.loads((checkout.path / f"results/{preset}/settings.json").read_text())


def test_the_preset_follows_the_folder(own):
    resolved = settings(own)
    assert resolved["teacher"]["model"]["classes"] == len(CLASSES)
    sizes = {name: judge["image_size"] for name, judge in resolved["judges"].items() if name != "kind"}
    assert set(sizes.values()) == {resolved["prepare"]["size"]} == {64}


def test_what_does_not_fit_is_named(own, tmp_path):
    checkout = own.copy(tmp_path / "marval")
    (own.path / "data/custom/train/quince").mkdir()
    try:
        done = checkout.marval("settings", "custom", check=False)
    finally:
        (own.path / "data/custom/train/quince").rmdir()
    assert done.returncode
    assert "teacher.model.classes is 3, but the images of prepare have 4 classes" in done.stderr


@pytest.mark.slow
@pytest.mark.long
def test_from_the_folder_to_the_report(own):
    preset = own.path / "workflow/presets/short.yaml"
    variants = yaml.safe_load((own.path / "workflow/presets/fashion.yaml").read_text())["variants"]
    left_out = {name: None for name in variants if name not in KEPT}
    preset.write_text(
        yaml.safe_dump(
            {"base": "custom", "name": "short", "description": "test"} | SHORT | {"variants": left_out}
        )
    )
    own.marval("activate", "short")
    ran = own.run("snakemake")
    assert "broken.png" in ran.stderr
    results = own.path / "results/short"
    assert json.loads((results / "data/classes.json").read_text()) == list(CLASSES)
    with np.load(results / "samples/marval-rl.npz") as batch:
        assert batch["arr_0"].shape == (24, 64, 64, 3)
        assert np.bincount(batch["arr_1"]).tolist() == [8] * len(CLASSES)
        assert (batch["arr_0"][..., 0] != batch["arr_0"][..., 1]).any()  # colour, not grey three times
    with np.load(results / "data/test.npz") as held_out:
        assert len(held_out["arr_0"]) == 4 * len(CLASSES)
    measured = {row["metric"] for row in json.loads((results / "metrics/marval.json").read_text())}
    assert {"frechet_distance", "frechet_distance_efficientnet", "class_accuracy", "clip_score"} <= measured
    claims = json.loads((results / "claims.json").read_text())
    assert {claim["scope"] for claim in claims} == {"proxy"}
    page = (results / "report.html").read_text()
    assert "custom-cnn" in page
