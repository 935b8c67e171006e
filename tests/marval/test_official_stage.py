"""Stage `official`, and the fetching of what a preset starts from, in a small checkout of their own."""

import shutil
from pathlib import Path

import pytest
import torch
import yaml

from marval import weights
from marval.errors import UserError
from marval.models.ldm import write_ldm
from marval.models.mar import MAR
from marval.models.official import write_official
from marval.models.saved import load_autoencoder, load_mar
from marval.models.settings import MARConfig, TokenizerConfig
from marval.models.tokenizer import build_autoencoder
from marval.pipeline import items
from marval.pipeline.closure import write_lists
from marval.pipeline.graph import find_stage
from marval.pipeline.preset import load_preset
from marval.pipeline.run import stage_run
from marval.stages import official
from marval.stages.settings import write_settings
from marval.weights.preset import fetch_named

TOKENIZER = {
    "latent_channels": 4, "channels": [8, 8, 8, 16], "layers_per_block": 1, "norm_groups": 4, "attention": True,
    "latent_scale": 0.2325,
}  # fmt: skip


@pytest.fixture
def checkout(root, tmp_path, monkeypatch) -> Path:
    """The preset `small`: smoke, with published weights for tokenizer and teacher; nothing is fetched yet."""
    for folder in ("marval", "metrics", "reports"):
        (tmp_path / folder).symlink_to(root / folder)
    for file in ("dvc.yaml", "workflow/weights.yaml"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        shutil.copy(root / file, tmp_path / file)
    monkeypatch.chdir(tmp_path)
    preset = yaml.safe_load((root / "workflow/presets/smoke.yaml").read_text())
    preset |= {"name": "small", "tokenizer": {"official": "kl16", "model": TOKENIZER}}
    preset["teacher"]["official"] = "mar-base"
    Path("workflow/presets").mkdir()
    Path("workflow/presets/small.yaml").write_text(yaml.safe_dump(preset))
    Path("params.yaml").write_text("presets: [small]\n")
    items.refresh()
    write_settings("small")
    write_lists()
    return tmp_path


def without_published_hashes() -> None:
    """The registry as it is for files whose hash nobody has published: random weights in their place are taken."""
    path = Path("workflow/weights.yaml")
    entries = yaml.safe_load(path.read_text())
    for entry in entries.values():
        for file in entry["files"]:
            file.pop("sha256", None)
    path.write_text(yaml.safe_dump(entries))


def run(variant: str) -> None:
    with stage_run(find_stage("official", "small", variant)) as context:
        official.run(context, variant)


def test_published_teacher_takes_the_place_of_a_trained_one(checkout):
    without_published_hashes()
    config: MARConfig = load_preset("small").teacher.model
    current, average = MAR(config), MAR(config)
    write_official(weights.path_of("mar-base"), current, average)
    run("teacher")
    loaded = load_mar(Path("results/small/models/teacher/seed-0.safetensors"))
    assert loaded.config == config
    assert all(torch.equal(loaded.state_dict()[name], value) for name, value in average.state_dict().items())
    description = yaml.safe_load(Path("results/small/models/teacher/seed-0.json").read_text())
    assert description["official"] == {"name": "mar-base", "sha256": weights.sha256_of("mar-base")}
    assert Path("results/small/records/official-teacher.json").is_file()


def test_published_tokenizer_takes_the_place_of_a_trained_one(checkout):
    without_published_hashes()
    config = TokenizerConfig.model_validate(TOKENIZER)
    autoencoder = build_autoencoder(config)
    write_ldm(weights.path_of("kl16"), autoencoder, config)
    run("tokenizer")
    loaded_config, loaded = load_autoencoder(Path("results/small/models/tokenizer.safetensors"))
    assert loaded_config == config
    assert loaded_config.latent_scale == 0.2325
    for name, value in autoencoder.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value)


def test_weights_that_are_not_the_published_ones_are_refused(checkout):
    config = load_preset("small").teacher.model
    write_official(weights.path_of("mar-base"), MAR(config), MAR(config))
    with pytest.raises(UserError, match=r"moved to checkpoint-last\.pth\.refused"):
        run("teacher")
    assert not Path("results/small/models").exists()


def test_weights_of_another_size_are_refused(checkout):
    without_published_hashes()
    config = load_preset("small").teacher.model.model_copy(update={"encoder_blocks": 2})
    write_official(weights.path_of("mar-base"), MAR(config), MAR(config))
    with pytest.raises(UserError, match=r"has unexpected encoder_blocks\.1"):
        run("teacher")


def test_what_a_preset_needs(checkout, root, capfd):
    assert load_preset("small").published_files == ["kl16", "mar-base"]
    place = {"kl16": b"a", "mar-base": b"b"}
    without_published_hashes()
    for name, content in place.items():
        weights.path_of(name).parent.mkdir(parents=True)
        weights.path_of(name).write_bytes(content)
    fetch_named("small", load_preset("small").published_files)  # everything is there: nothing is fetched
    said = capfd.readouterr().err
    assert (
        "weights/kl16/kl16.ckpt: MAR's KL-16 autoencoder (licence: MIT; https://github.com/LTH14/mar)" in said
    )
    shutil.copy(root / "workflow/presets/smoke.yaml", "workflow/presets/smoke.yaml")
    fetch_named("smoke", load_preset("smoke").published_files)
    assert "smoke starts from no published files" in capfd.readouterr().err
