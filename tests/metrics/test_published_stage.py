"""Stage `published`: from weights files and ADM's statistics to a folder of judges that scores images."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from marval.data.images import write_pixels
from marval.errors import UserError
from marval.pipeline.graph import Stage
from marval.pipeline.preset import load_preset, resolved_settings
from marval.pipeline.run import Context
from marval.stages import published
from metrics.features import extract
from metrics.judges.opened import open_folder
from metrics.judges.section import PublishedJudgesConfig
from metrics.samples import Samples

NAMES = ["tench", "crane", "crane"]
TRAIN = np.random.default_rng(1).integers(0, 256, (30, 32, 32, 3), dtype=np.uint8)


@pytest.fixture
def context(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Context:
    """The stage of a preset with published judges, in an empty project."""
    monkeypatch.chdir(root)
    preset = load_preset("digits").model_copy(update={"judges": PublishedJudgesConfig(kind="published")})
    settings = resolved_settings(preset)
    monkeypatch.chdir(tmp_path)
    Path("results/digits/data").mkdir(parents=True)
    Path("results/digits/data/classes.json").write_text(json.dumps(NAMES))
    write_pixels(Path("results/digits/data/train.parquet"), TRAIN, np.arange(30) % 3, np.arange(30) % 2)
    stage = Stage("published", "digits", {"preset": "digits"}, "", [], {}, [Path("results/digits/judges")])
    return Context(stage, settings, tmp_path / "runs")


@pytest.fixture
def weights(context: Context, inception_weights: Path, dinov2_folder: Path, pick_score_folder: Path) -> Path:
    """All files that the registry names; those of judges that the stage does not open hold anything."""
    files = {
        "inception/inception.pth": inception_weights,
        "dinov2/model.safetensors": dinov2_folder / "model.safetensors",
        "dinov2/config.json": dinov2_folder / "config.json",
        "pick-score/model.safetensors": pick_score_folder / "model.safetensors",
        "pick-score/config.json": pick_score_folder / "config.json",
        "clip-l/l.pt": b"l",
        "clip-b/b.pt": b"b",
        "image-reward/ImageReward.pt": b"r",
        "image-reward/med_config.json": b"{}",
        "adm-statistics/statistics.npz": b"",
    }
    registry: dict = {}
    for name, content in files.items():
        file = Path("weights") / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            file.write_bytes(content)
        else:
            shutil.copyfile(content, file)
        entry = {"what": name, "page": "https://example.org", "licence": "none", "files": []}
        remote = {"path": file.name, "urls": ["https://example.org/x"], "about": "small"}
        registry.setdefault(file.parent.name, entry)["files"].append(remote)
    Path("workflow").mkdir()
    Path("workflow/weights.yaml").write_text(yaml.safe_dump(registry))
    images = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)
    statistics = {"mu": np.zeros(2048), "sigma": np.eye(2048), "arr_0": images}
    np.savez(Path("weights/adm-statistics/statistics.npz"), **statistics)
    return Path("weights")


@pytest.mark.slow
def test_judges_are_described_and_the_reference_has_features(context: Context, weights: Path) -> None:
    published.run(context)
    folder = Path("results/digits/judges")
    judges = {"inception", "dinov2", "clip_l", "clip_b", "image_reward", "pick_score"}
    assert {file.stem for file in folder.glob("*.json")} == {*judges, "quality"}
    assert json.loads((folder / "quality.json").read_text()) == []
    described = json.loads((folder / "image_reward.json").read_text())
    assert described["weights"] == "weights/image-reward"
    assert described["class_names"] == NAMES
    assert described["template"] == context.preset.prompt.replace("{name}", "{}")
    opened = open_folder(folder)
    reference = opened.reference
    reference.check_judge(opened.features)
    assert reference.judge_sha256 == opened.features.sha256
    assert (reference.crop, reference.n) == ("adm-256", None)
    assert np.array_equal(reference.mu, np.zeros(2048))
    assert np.array_equal(reference.sigma, np.eye(2048))
    assert reference.features is not None
    assert reference.features.shape == (3, 2048)


@pytest.mark.slow
def test_dinov2_is_compared_with_training_images(
    context: Context, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(published, "DRAWN", 20)
    published.run(context)
    first, second = open_folder(Path("results/digits/judges")).yardsticks
    assert (first.judge.kind, second.judge.kind) == ("inception", "dinov2")
    known = second.reference
    known.check_judge(second.judge)
    assert (known.n, known.crop, known.judge_sha256) == (20, "none", second.judge.sha256)
    own = extract(second.judge, Samples(TRAIN, None, np.zeros(30, np.int64))).features
    assert known.features is not None
    assert known.labels is not None
    # each of the drawn images once, with its own label, and drawn from all of them
    apart = np.abs(known.features[:, None] - own[None]).max(axis=2)
    drawn = apart.argmin(axis=1)
    assert apart.min(axis=1).max() < 1e-4
    assert len(set(drawn.tolist())) == 20
    assert drawn.max() >= 20
    assert np.array_equal(known.labels, drawn % 3)
    assert np.allclose(known.mu, own[drawn].mean(axis=0), atol=1e-5)
    assert np.allclose(known.sigma, np.cov(own[drawn], rowvar=False), atol=1e-4)


def test_missing_weights_are_listed(context: Context, weights: Path) -> None:
    (weights / "clip-b/b.pt").unlink()
    (weights / "adm-statistics/statistics.npz").unlink()
    with pytest.raises(UserError, match=r"(?s)2 files.*clip-b/b\.pt.*statistics\.npz"):
        published.run(context)
    assert not Path("results/digits/judges").exists()
