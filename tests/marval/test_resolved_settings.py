"""From a preset's file to what stages and reports read: bases merged in, defaults and roles written out."""

import json
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from marval.errors import UserError
from marval.methods.settings import TeacherTraining
from marval.pipeline.preset import LatencyPreset, Preset, load_preset, resolved_settings
from marval.pipeline.reading import merged, read_settings
from marval.pipeline.roles import warnings


@pytest.fixture
def presets(tmp_path, monkeypatch):
    """Writes made-up presets into an empty project."""
    (tmp_path / "workflow/presets").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)

    def write(**contents):
        for name, content in contents.items():
            path = Path(f"workflow/presets/{name}.yaml")
            path.write_text(yaml.safe_dump({"name": name, **content}, sort_keys=False))

    return write


def test_a_mapping_is_merged_any_other_value_replaces_null_removes():
    base = {
        "a": {"x": 1, "y": {"deep": 1, "kept": 2}},
        "list": [1, 2],
        "gone": {"x": 1},
        "number": 3,
        "whole": {"x": 1},
    }
    own = {
        "a": {"y": {"deep": 5}, "z": 6},
        "list": [3],
        "gone": None,
        "number": {"now": "a mapping"},
        "new": 7,
        "whole": 8,
    }
    before = json.dumps([base, own])
    assert merged(base, own) == {
        "a": {"x": 1, "y": {"deep": 5, "kept": 2}, "z": 6},
        "list": [3],
        "number": {"now": "a mapping"},
        "new": 7,
        "whole": 8,
    }
    assert json.dumps([base, own]) == before


def test_null_without_a_base_stays_a_value():
    assert merged({}, {"limit": None, "a": {"limit": None}}) == {"limit": None, "a": {"limit": None}}


def test_bases_are_followed_to_the_last(presets):
    presets(
        first={"seeds": [0], "teacher": {"steps": 10, "batch": 4}, "speed": {"batches": [1]}},
        second={"base": "first", "teacher": {"steps": 20}, "speed": None},
        third={"base": "second", "seeds": [0, 1], "teacher": {"ema": 0.9}},
    )
    assert read_settings("third") == {
        "name": "third",
        "seeds": [0, 1],
        "teacher": {"steps": 20, "batch": 4, "ema": 0.9},
    }


def test_a_variant_of_the_base_can_be_removed_and_defaults_return(root, presets):
    smoke = yaml.safe_load((root / "workflow/presets/smoke.yaml").read_text())
    presets(
        smoke=smoke,
        mine={
            "base": "smoke",
            "variants": {"teacher-4": None},
            "speed": {"variants": ["marval"]},
            "inpaint": None,
            "teacher": {"label_drop": None},
        },
    )
    base, mine = load_preset("smoke"), load_preset("mine")
    assert mine.variants.keys() == base.variants.keys() - {"teacher-4"}
    assert mine.teacher.label_drop == TeacherTraining.model_fields["label_drop"].default
    assert mine.teacher.steps == base.teacher.steps
    assert mine.name == "mine"


@pytest.mark.parametrize(
    ("contents", "words"),
    [
        ({"mine": {"base": "mine"}}, ["mine.yaml: base goes in a circle: mine -> mine"]),
        (
            {"mine": {"base": "other"}, "other": {"base": "mine"}},
            ["base goes in a circle: mine -> other -> mine"],
        ),
        ({"mine": {"base": "digit"}, "digits": {}}, ["there is no preset 'digit'", "did you mean 'digits'?"]),
        (
            {"mine": {"base": ["digits"]}, "digits": {}},
            ["mine.yaml: base is ['digits']: give the name of one preset"],
        ),
        ({"mine": {"name": "yours"}}, ["mine.yaml: name is 'yours' but the file is mine.yaml"]),
        ({"mine": {"base": "digits"}, "digits": {"name": "digit"}}, ["digits.yaml: name is 'digit'"]),
    ],
)
def test_bases_that_lead_nowhere_are_refused(presets, contents, words):
    presets(**contents)
    with pytest.raises(UserError) as caught:
        read_settings("mine")
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words), message


def written_out(model: BaseModel, settings: dict) -> bool:
    """Whether every field of a group of settings, and of all groups in it, is there."""
    groups = {name: value for name, value in dict(model).items() if isinstance(value, BaseModel)}
    return settings.keys() >= dict(model).keys() - {"resources"} and all(
        written_out(group, settings[name]) for name, group in groups.items()
    )


def names(root: Path) -> list[str]:
    return sorted(path.stem for path in (root / "workflow/presets").glob("*.yaml"))


def test_resolved_settings_have_every_default(root, monkeypatch):
    """What they say is the preset itself, whatever the defaults become later."""
    monkeypatch.chdir(root)
    for name in names(root):
        preset = load_preset(name)
        settings = resolved_settings(preset)
        assert written_out(preset, settings), name
        assert "resources" not in settings  # results do not depend on them
        assert json.loads(json.dumps(settings)) == settings
        again = type(preset).model_validate(settings)
        assert resolved_settings(again) == settings
        assert getattr(again, "teacher", None) == getattr(preset, "teacher", None)


def test_resolved_settings_say_each_variants_role_and_seeds(root, monkeypatch):
    monkeypatch.chdir(root)
    for name in names(root):
        preset = load_preset(name)
        if isinstance(preset, LatencyPreset):
            continue
        settings = resolved_settings(preset)
        for variant, content in settings["variants"].items():
            assert content["role"] == preset.variants[variant].role.value
            assert content["seeds"] == preset.variant_seeds(variant)
        again = Preset.model_validate(settings)
        for model in (*preset.distill.variants, *preset.reinforce.variants):
            assert again.model_seeds(model) == preset.model_seeds(model)


def test_another_seed_makes_no_training_stale(root, presets):
    """What the stages of one seed read of the settings does not say which other seeds there are."""
    smoke = yaml.safe_load((root / "workflow/presets/smoke.yaml").read_text())
    presets(smoke=smoke, more={**smoke, "name": "more", "seeds": [0, 1]})
    one, two = (resolved_settings(load_preset(name)) for name in ("smoke", "more"))
    stages = yaml.safe_load((root / "dvc.yaml").read_text())["stages"]
    for stage in ("teacher", "distill", "reinforce", "watch"):
        (read,) = stages[stage]["do"]["params"][0].values()
        for key in read:
            path = key.replace("${item.variant}", "marval-rl" if stage != "distill" else "marval")
            path = path.replace("${item.start}", "marval").split(".")
            assert at(one, path) == at(two, path), f"{stage}: {key}"
    assert one["variants"] != two["variants"]


def at(settings, path):
    """What stands under these keys."""
    for key in path:
        settings = settings[key]
    return settings


def test_seeds_come_from_the_variant_its_model_or_the_preset(root, presets):
    smoke = yaml.safe_load((root / "workflow/presets/smoke.yaml").read_text())
    smoke["seeds"] = [0, 1, 2]
    smoke["distill"]["variants"]["marval"]["seeds"] = [1, 2]
    smoke["reinforce"]["variants"]["marval-rl"]["seeds"] = [2]
    smoke["variants"]["teacher-4"]["seeds"] = [0]
    smoke["showcase"]["seed"] = 1
    presets(smoke=smoke)
    variants = resolved_settings(load_preset("smoke"))["variants"]
    assert {name: content["seeds"] for name, content in variants.items()} == {
        "teacher-100": [0, 1, 2],
        "teacher-4": [0],
        "teacher-1": [0, 1, 2],
        "marval": [1, 2],
        "marval-rl": [2],
        "marval-raster": [1, 2],
        "teacher-raster": [0, 1, 2],
    }


@pytest.mark.parametrize(
    ("teachers", "taught"),
    [
        (None, {10: 10, 11: 11, 12: 12, 13: 13}),
        ([10], {10: 10, 11: 10, 12: 10, 13: 10}),
        ([10, 12], {10: 10, 11: 10, 12: 12, 13: 12}),
        ([10, 13, 12], {10: 10, 11: 10, 12: 13, 13: 12}),
    ],
)
def test_teachers_teach_equal_shares_of_the_seeds_in_order(root, presets, teachers, taught):
    smoke = yaml.safe_load((root / "workflow/presets/smoke.yaml").read_text())
    presets(smoke={**smoke, "seeds": [10, 11, 12, 13], "teacher_seeds": teachers} | show(smoke, 10))
    preset = load_preset("smoke")
    assert preset.teachers == taught
    assert preset.variant_seeds("teacher-4") == list(dict.fromkeys(taught.values()))
    resolved = resolved_settings(preset)
    assert resolved["teacher_seeds"] == list(taught.values())
    assert Preset.model_validate(resolved).teachers == taught


def show(smoke, seed):
    return {"showcase": {**smoke["showcase"], "seed": seed}}


def test_more_teachers_than_seeds_are_refused(root, presets):
    smoke = yaml.safe_load((root / "workflow/presets/smoke.yaml").read_text())
    presets(smoke={**smoke, "teacher_seeds": [0, 1]})
    with pytest.raises(UserError, match="teacher_seeds has 2 entries, more than the 1 of seeds"):
        load_preset("smoke")


def test_claims_that_no_variant_can_answer_are_named(root, monkeypatch):
    monkeypatch.chdir(root)
    claims = yaml.safe_load(Path("reports/paper.yaml").read_text())["claims"]
    needed = {claim["id"]: set(claim.get("roles", [])) for claim in claims}
    preset = load_preset("smoke")
    assert isinstance(preset, Preset)
    roles = {variant.role.value for variant in preset.variants.values()}
    unanswered = [claim for claim, wanted in needed.items() if wanted - roles]
    assert unanswered
    lines = warnings(preset)
    assert len(lines) == len(unanswered)
    for claim, line in zip(unanswered, lines, strict=True):
        assert line.startswith("workflow/presets/smoke.yaml: no variant has the role ")
        assert f"claim {claim} will not be attempted" in line
        assert all(role in line for role in needed[claim] - roles)
    assert warnings(load_preset("latency")) == []
