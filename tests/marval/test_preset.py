"""Presets: each is valid, and each kind of mistake is named with file, key, value and the nearest valid name."""

import shutil

import pytest

from marval.errors import UserError
from marval.pipeline.preset import load_preset


@pytest.fixture
def folder(root, tmp_path, monkeypatch):
    """A copy of the settings to spoil."""
    shutil.copytree(root / "workflow/presets", tmp_path / "workflow/presets")
    (tmp_path / "params.yaml").write_text("presets: [smoke]\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def spoil(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_every_preset_is_valid(root, monkeypatch):
    monkeypatch.chdir(root)
    for path in (root / "workflow/presets").glob("*.yaml"):
        assert load_preset(path.stem).name == path.stem


def test_full_digits_differ_in_seeds_and_variants_alone(root, monkeypatch):
    monkeypatch.chdir(root)
    plain, full = load_preset("digits"), load_preset("digits-full")
    for section in (
        "prompt",
        "prepare",
        "tokenizer",
        "encode",
        "judges",
        "teacher",
        "sample",
        "evaluate",
        "showcase",
    ):
        assert getattr(plain, section) == getattr(full, section), section
    for section in ("distill", "reinforce"):
        ours, theirs = getattr(plain, section), getattr(full, section)
        assert ours.training == theirs.training
        assert ours.variants.items() <= theirs.variants.items()


def test_lists_in_the_repository_are_fresh(root, monkeypatch):
    monkeypatch.chdir(root)
    assert grid.RUNS.read_text() == grid.render()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "label_drop: 0.1",
            "label_dorp: 0.1",
            ["teacher.label_dorp is not a setting", "did you mean 'label_drop'?"],
        ),
        ("label_drop: 0.1", "label_drop: 1.5", ["teacher.label_drop is 1.5", "less than 1"]),
        ("label_drop: 0.1", "label_drop: often", ["teacher.label_drop is 'often'", "valid number"]),
        (
            "test_fraction: 0.25",
            "test_fration: 0.25",
            ["prepare.test_fration is not a setting", "'test_fraction'?"],
        ),
        ("test_fraction: 0.25", "test_fraction: 2", ["prepare.test_fraction is 2", "less than 1"]),
        ("data: digits8", "data: digits", ["prepare.data is 'digits'; did you mean 'digits8'?"]),
        (
            "data: digits8",
            "data: 3",
            ["prepare.data is 3; valid: digits8, fashion-mnist, hub, image-folder, mnist-5k"],
        ),
        ("  data: digits8\n", "", ["prepare.data is missing"]),
        ("data: digits8", "data: hub", ["prepare.test_fraction is not a setting"]),
        ("mirror: false", "mirror: perhaps", ["encode.mirror is 'perhaps'", "valid boolean"]),
        ("heads: 2", "heads: 3", ["teacher.model", "32 is not divisible by heads 3"]),
        (
            "start: marval,",
            "start: marvel,",
            ["reinforce.variants.marval-rl.start", "did you mean 'marval'?"],
        ),
        (
            "model: teacher, diffusion_steps: 4,",
            "model: tutor, diffusion_steps: 4,",
            ["variants.teacher-4.model"],
        ),
        ("seeds: [0]", "seeds: [0", ["cannot be read", "line"]),
        ("seeds: [0]", "", ["seeds is missing"]),
        (
            "  variants:\n    marval:",
            "  variantz:\n    marval:",
            ["distill.variantz", "did you mean 'variants'?"],
        ),
        ("ar_steps: 4}", "ar_steps: 99}", ["ar_steps is 99, more than the 16 tokens"]),
        ("name: smoke", "name: fire", ["name is 'fire' but the file is smoke.yaml"]),
        (
            "marval: {guidance: 1.2}",
            "marval: {guidance: 1.2, seeds: [3]}",
            ["seeds: marval is not trained with [0]"],
        ),
        ("steps: 2}", "steps: 2, rewarded_after: 9}", ["rewarded_after is 9, more than"]),
        ("t_low: 20", "t_low: 990", ["t_low 990 must be below t_high 980"]),
    ],
)
def test_mistakes_are_named(folder, old, new, words):
    path = folder / "workflow/presets/smoke.yaml"
    spoil(path, old, new)
    with pytest.raises(UserError) as caught:
        load_preset("smoke")
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in ["workflow/presets/smoke.yaml", *words]), message


def test_unknown_preset_names_the_nearest(folder):
    with pytest.raises(UserError, match=r"no preset 'digit'.*did you mean 'digits'"):
        load_preset("digit")


@pytest.mark.parametrize("content", ["preset: [smoke]", "presets: smoke", "presets: []", ""])
def test_active_presets_must_be_a_list(folder, content):
    (folder / "params.yaml").write_text(content)
    with pytest.raises(UserError, match=r"params\.yaml: presets must be a list of names"):
        grid.active_presets()


def test_lists_follow_variants_and_seeds(folder):
    path = folder / "workflow/presets/smoke.yaml"
    spoil(path, "seeds: [0]", "seeds: [0, 1]")
    lists = grid.expand(["smoke"])
    assert set(lists["teacher"]) == {"smoke-0", "smoke-1"}
    assert set(lists["distill"]) == {"smoke-marval-0", "smoke-marval-1"}
    assert "smoke-real" in lists["evaluate"]
    assert len(lists["sample"]) == len(load_preset("smoke").variants)
    assert grid.refresh()
    assert not grid.refresh()
    spoil(path, "seeds: [0, 1]", "seeds: [0]")
    with pytest.raises(UserError, match="python -m marval runs"):
        grid.check(folder / "copy.json")


def test_activating_a_preset_keeps_the_rest_of_the_file(folder):
    (folder / "params.yaml").write_text("# why\npresets:\n  - smoke\n  - digits\n# and this\n")
    grid.activate(["digits-full"])
    assert (folder / "params.yaml").read_text() == "# why\npresets:\n  - digits-full\n# and this\n"
    assert grid.RUNS.read_text() == grid.render()
    with pytest.raises(UserError, match="did you mean 'digits'"):
        grid.activate(["digit"])
    assert grid.active_presets() == ["digits-full"]
