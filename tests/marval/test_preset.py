"""Presets: each is valid, and each kind of mistake is named with file, key, value and the nearest valid name."""

import pytest
from spoiling import spoil

from marval.errors import UserError
from marval.objectives.registry import OBJECTIVES
from marval.pipeline.preset import load_preset
from marval.sampling.settings import InnerSampling, Role


def test_every_preset_is_valid(root, monkeypatch):
    monkeypatch.chdir(root)
    for path in (root / "workflow/presets").glob("*.yaml"):
        assert load_preset(path.stem).name == path.stem


def test_full_digits_differ_in_effort_seeds_and_variants_alone(root, monkeypatch):
    monkeypatch.chdir(root)
    plain, full = load_preset("digits"), load_preset("digits-full")
    for section in (
        "prompt",
        "prepare",
        "tokenizer",
        "encode",
        "judges",
        "teacher",
        "evaluate",
        "showcase",
    ):
        assert getattr(plain, section) == getattr(full, section), section
    for section in ("distill", "reinforce"):
        ours, theirs = getattr(plain, section), getattr(full, section)
        assert (
            ours.training.model_copy(update={"steps": theirs.training.steps} if section == "distill" else {})
            == theirs.training
        )
        assert ours.variants.items() <= theirs.variants.items()


def inner(variant):
    """The settings of a variant that the preset `latency` has."""
    return variant.model_dump(include=set(InnerSampling.model_fields))


def test_rivals_without_training_are_timed_at_every_size(root, monkeypatch):
    """Each in the preset's own `speed`, and in `latency`, whose AR steps are those of a regime; larger models guide more."""
    monkeypatch.chdir(root)
    timed = load_preset("latency").latency.variants
    guidances = {"imagenet256-base": 2.9, "imagenet256-large": 3.0, "imagenet256-huge": 3.2}
    for name, guidance in guidances.items():
        preset = load_preset(name)
        rivals = {n: v for n, v in preset.variants.items() if v.role is Role.RIVAL and v.model == "teacher"}
        assert {"ddim", "dpm-solver", "unipc"} <= {v.sampler for v in rivals.values()}
        assert rivals.keys() <= set(preset.speed.variants)
        assert {v.guidance for v in rivals.values()} == {guidance}
        whole = {n: inner(v) | {"guidance": 2.9} for n, v in rivals.items() if v.ar_steps == 64}
        assert whole == {n: inner(v) for n, v in timed.items() if v.role is Role.RIVAL}


def test_objectives_differ_in_the_objective_alone(root, monkeypatch):
    """F3 at full scale: students that are sampled alike, and no teacher, so that no claim of the paper is tested by the way."""
    monkeypatch.chdir(root)
    preset = load_preset("imagenet256-rivals")
    trained = preset.distill.variants
    assert {v.objective for v in trained.values()} == set(OBJECTIVES)
    assert {v.role for v in preset.variants.values()} == {Role.STUDENT, Role.RIVAL, Role.ABLATION}
    sampled = [v.model_dump(exclude={"role", "model"}) for v in preset.variants.values()]
    assert all(settings == sampled[0] for settings in sampled)
    assert not preset.reinforce.variants


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
            ["seeds of marval: [3] are not among the preset's", "`seeds` is [0]"],
        ),
        ("steps: 2,", "steps: 2, rewarded_after: 9,", ["rewarded_after is 9, more than"]),
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


STUDENT = "  marval: {role: student, model: marval, diffusion_steps: 1, ar_steps: 4}\n"
REINFORCED = "  marval-rl: {role: reinforced, model: marval-rl, diffusion_steps: 1, ar_steps: 4}\n"


@pytest.mark.parametrize(
    ("edits", "words"),
    [
        (
            {STUDENT: STUDENT + STUDENT.replace("marval:", "again:")},
            ["exactly one has the role student", "['marval', 'again']"],
        ),
        ({"role: student": "role: ablation"}, ["exactly one has the role student", "here: []"]),
        (
            {REINFORCED: REINFORCED + REINFORCED.replace("marval-rl:", "again:")},
            ["at most one has the role reinforced", "['marval-rl', 'again']"],
        ),
        ({"role: student": "role: pupil"}, ["variants.marval.role is 'pupil'", "'student'"]),
        ({"role: student, ": ""}, ["variants.marval.role is missing"]),
        *(
            (
                {f"{variant}: {{role: {right}": f"{variant}: {{role: {wrong}"},
                [f"variants.{variant}.role is {wrong}", model],
            )
            for variant, right, wrong, model in (
                ("teacher-1", "teacher", "student", "its model is teacher"),
                ("marval", "student", "teacher", "its model is marval"),
                ("marval", "student", "reinforced", "its model is marval"),
                ("marval-rl", "reinforced", "guidance", "its model is marval-rl"),
            )
        ),
        (
            {
                "marval: {guidance: 1.2}": "marval: {guidance: 1.2}\n    other: {guidance: 1.0}",
                "start: marval,": "start: other,",
            },
            ["reinforce.variants.marval-rl.start is other", "the student is marval"],
        ),
        (
            {"teacher, diffusion_steps: 4,": "teacher, diffusion_steps: 1,"},
            ["two have the role teacher and diffusion_steps 1"],
        ),
        (
            {"seeds: [0]": "seeds: [0, 1]", "marval: {guidance: 1.2}": "marval: {guidance: 1.2, seeds: [1]}"},
            ["reinforce.variants.marval-rl.seeds", "marval is not trained with [0]"],
        ),
        (
            {"    side: 4\n    channels: 4": "    side: 4\n    channels: 8"},
            ["teacher.model.channels is 8", "tokenizer.model.latent_channels is 4"],
        ),
        (
            {"    latent_channels: 4\n": "    latent_channels: 4\n    patch: 2\n"},
            ["teacher.model.channels is 4", "tokenizer.model.latent_channels is 4 in patches of 2 x 2"],
        ),
        ({"    classes: 10": "    classes: 12"}, ["teacher.model.classes is 12", "prepare have 10 classes"]),
        (
            {"    side: 4\n": "    side: 8\n"},
            ["teacher.model.side is 8", "prepare.size 32", "tokenizer.model.channels", "side 4"],
        ),
        (
            {"name: digits-cnn,": "name: digits-cnn, image_size: 16,"},
            ["judges.cnn.image_size is 16", "prepare.size is 32"],
        ),
        (
            {"showcase:\n": "showcase:\n  seed: 3\n"},
            ["showcase.seed is 3", "marval has the seeds [0]"],
        ),
        (
            {"showcase:\n  model: marval\n": "showcase:\n  model: marvel\n"},
            ["showcase.model is 'marvel'", "did you mean 'marval'?"],
        ),
        (
            {"guidance: 1.2}": "guidance: 1.2, objective: gism}"},
            ["distill.variants.marval.objective", "'gism'", "did you mean 'gsim'?"],
        ),
        (
            {"batch: 16\n    ar_steps: 4": "batch: 16\n    ar_steps: 4\n    reward: pick_scroe"},
            ["reinforce.training.reward is 'pick_scroe'", "did you mean 'pick_score'?"],
        ),
    ],
)
def test_roles_and_settings_that_must_agree(folder, edits, words):
    path = folder / "workflow/presets/smoke.yaml"
    for old, new in edits.items():
        spoil(path, old, new)
    with pytest.raises(UserError) as caught:
        load_preset("smoke")
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in ["workflow/presets/smoke.yaml", *words]), message


def test_unknown_preset_names_the_nearest(folder):
    with pytest.raises(UserError, match=r"no preset 'digit'.*did you mean 'digits'"):
        load_preset("digit")
