"""The full-scale path at miniature size: an ImageNet-like folder and weights in the published layouts, from data to report."""

import hashlib
import json

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from marval.models.ldm import write_ldm
from marval.models.mar import MAR
from marval.models.official import write_official
from marval.models.tokenizer import build_autoencoder
from marval.pipeline.preset import Preset

pytestmark = pytest.mark.slow

CLASSES = ("n01440764", "n01443537", "n01484850", "n01491361")
IMAGES = 10  # of each class

# what differs from the preset smoke
CHANGES = {
    "name": "folder",
    "description": "4 classes of coloured noise, weights in the published layouts",
    "prepare": {"data": "image-folder", "folder": "data/images", "size": 32, "held_out": 3},
    "tokenizer": {
        "official": "kl16",
        "model": {
            "image_channels": 3,
            "latent_channels": 4,
            "channels": [8, 8, 16, 16],
            "layers_per_block": 1,
            "norm_groups": 4,
            "attention": True,
            "latent_scale": 0.2325,
        },
    },
    "encode": {"mirror": True},
    "judges": {
        kind: {"name": f"folder-{kind}", "steps": 3} for kind in ("cnn", "clip", "image_reward", "pick_score")
    }
    | {"efficientnet": {"enlarged": 32}},
    "inpaint": {"variants": []},
    "evaluate": {"distances": {"inception_splits": 2}, "half_samples": 4},
}
KEPT = ("teacher-4", "marval", "marval-rl")


def preset(smoke: dict) -> dict:
    """The settings of the miniature, over those of the preset smoke."""
    teacher = {**smoke["teacher"], "official": "mar-base"}
    teacher["model"] = {**teacher["model"], "classes": len(CLASSES)}
    distill = {**smoke["distill"], "training": {**smoke["distill"]["training"], "steps": 1, "batch": 4}}
    sample = {**smoke["sample"], "images": 40, "batch": 20}
    variants = {name: smoke["variants"][name] for name in KEPT}
    speed = {**smoke["speed"], "variants": ["teacher-4", "marval"], "batches": [1]}
    changed = {"teacher": teacher, "distill": distill, "sample": sample, "variants": variants, "speed": speed}
    return {**smoke, **CHANGES, **changed}


def make_images(folder) -> None:
    """Coloured noise, a shade for each class."""
    generator = np.random.default_rng(0)
    for label, wnid in enumerate(CLASSES):
        (folder / "train" / wnid).mkdir(parents=True)
        for i in range(IMAGES):
            shade = np.array([60 * label, 255 - 60 * label, 128])
            pixels = np.clip(shade + generator.normal(0, 40, (40, 48, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / "train" / wnid / f"{wnid}_{i}.JPEG", quality=95)


def make_weights(checkout, settings: Preset) -> None:
    """Random weights in the published layouts, and a registry that knows them."""
    torch.manual_seed(0)
    model = MAR(settings.teacher.model)
    entries = {"mar-base": "checkpoint-last.pth", "kl16": "kl16.ckpt"}
    for name in entries:
        (checkout.path / "weights" / name).mkdir(parents=True)
    write_official(checkout.path / "weights/mar-base/checkpoint-last.pth", model, model)
    config = settings.tokenizer.model
    write_ldm(checkout.path / "weights/kl16/kl16.ckpt", build_autoencoder(config), config)
    registry = {}
    for name, file in entries.items():
        content = (checkout.path / "weights" / name / file).read_bytes()
        known = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        source = {"what": name, "page": "https://example.org", "licence": "none"}
        registry[name] = {
            **source,
            "files": [{"path": file, "urls": [f"https://example.org/{file}"], **known}],
        }
    (checkout.path / "workflow/weights.yaml").write_text(yaml.safe_dump(registry))


@pytest.fixture(scope="module")
def folder(fresh, tmp_path_factory):
    """The checkout with the miniature as its active preset; neither images nor weights are there yet."""
    checkout = fresh.copy(tmp_path_factory.mktemp("folder") / "marval")
    presets = checkout.path / "workflow/presets"
    content = preset(yaml.safe_load((presets / "smoke.yaml").read_text()))
    (presets / "folder.yaml").write_text(yaml.safe_dump(content))
    checkout.marval("activate", "folder")
    return checkout


def test_from_images_and_published_weights_to_the_report(folder):
    settings = Preset.model_validate(
        yaml.safe_load((folder.path / "workflow/presets/folder.yaml").read_text())
    )
    alone = folder.run("snakemake", check=False)
    assert alone.returncode
    assert "Traceback" not in alone.stderr
    for missing in ("data/images", "weights/mar-base/checkpoint-last.pth", "weights/kl16/kl16.ckpt"):
        assert missing in alone.stderr
    assert folder.stages_run() == {"calibrate@folder"}

    make_images(folder.path / "data/images")
    make_weights(folder, settings)
    folder.run("snakemake")
    results = folder.path / "results/folder"
    teacher = json.loads((results / "models/teacher/seed-0.json").read_text())
    assert teacher["official"]["name"] == "mar-base"
    with np.load(results / "samples/marval-rl.npz") as batch:
        assert batch["arr_0"].shape == (40, 32, 32, 3)
        assert np.bincount(batch["arr_1"]).tolist() == [10] * 4
    assert json.loads((results / "data/classes.json").read_text())[0] == "tench"
    claims = json.loads((results / "claims.json").read_text())
    assert all(claim["scope"] == "proxy" for claim in claims)
    assert "folder-clip" in (results / "report.html").read_text()
    again = folder.run("snakemake")
    assert "Nothing to be done" in again.stderr + again.stdout
