"""A folder of judges opens alike whether they are miniature or published, and the weights must be those described."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from metrics import UserError
from metrics.judges.cnn import Cnn
from metrics.judges.files import build, load
from metrics.judges.opened import open_folder
from metrics.judges.section import AnyJudgesConfig, JudgesConfig, PublishedJudgesConfig
from metrics.judging import Jury, Yardstick, judge_images
from metrics.published import weights as weights_module
from metrics.published.folder import write_descriptions
from metrics.published.weights import weights_sha256
from metrics.reference import Reference
from metrics.samples import Samples

NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
PROMPT = "a scan of {name}"
NO_REFERENCE = Reference(np.zeros(1), np.eye(1))  # the judges are asked about images alone


@pytest.fixture
def miniature(cnn: Cnn, reference: Reference, tmp_path: Path) -> Path:
    folder = tmp_path / "judges"
    cnn.save(folder / "cnn")
    for kind in ("clip", "image_reward", "pick_score"):
        build(kind, getattr(JudgesConfig(), kind), NAMES, PROMPT).save(folder / kind)
    reference.save(folder / "reference.npz")
    (folder / "quality.json").write_text("[]")
    return folder


@pytest.fixture
def published(small_clip: Path, pick_score_folder: Path, inception_weights: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "judges"
    paths = {"inception": inception_weights, "clip-b": small_clip, "pick-score": pick_score_folder}
    write_descriptions(folder, paths, NAMES, PROMPT)
    return folder


def check_opened(folder: Path, names: list[str], images: np.ndarray) -> None:
    opened = open_folder(folder).to("cpu")
    assert [judge.metric for judge in opened.scorers] == names
    samples = Samples(images, np.arange(len(images)) % 10, np.zeros(len(images), np.int64))
    judged = judge_images(samples, Jury([Yardstick(opened.features, NO_REFERENCE)], opened.scorers))
    assert len(judged.features[opened.features.name].features) == len(images)
    assert opened.reward("pick_score") is opened.scorers[-1]  # read once
    for judge in opened.scorers:
        assert judge.sha256 is not None
        assert judge.protocol["template"] == "a scan of {}"
        assert judged.scores[judge.name].shape == (len(images),)
    unit = (torch.from_numpy(images.transpose(0, 3, 1, 2).copy()) / 255).requires_grad_()
    labels = torch.from_numpy(samples.labels)
    opened.reward("pick_score").score(unit, labels).sum().backward()
    assert unit.grad is not None
    assert (unit.grad.flatten(1).norm(dim=1) > 0).all()
    assert np.allclose(
        opened.reward("pick_score").score(unit, labels).detach(),
        judged.scores[opened.scorers[-1].name],
        atol=0.02,
    )


def test_miniature_judges(miniature: Path, digits: tuple, reference: Reference) -> None:
    check_opened(miniature, ["clip_score", "image_reward", "pick_score"], digits[0][:4])
    assert open_folder(miniature).reference.sha256 == reference.sha256


def test_scorers_are_asked_for_by_name(miniature: Path) -> None:
    opened = open_folder(miniature)
    assert opened.scorer("clip").kind == "clip"
    assert [judge.kind for judge in opened.unseen("clip")] == ["image_reward", "pick_score"]
    with pytest.raises(UserError, match="no scorer 'cnn' there: use one of clip, image_reward, pick_score"):
        opened.scorer("cnn")
    assert opened.jury("clip").neighbours is None


def test_a_reward_must_be_differentiable(published: Path) -> None:
    with pytest.raises(
        UserError, match=r"'clip_b' is no judge there that is differentiable .* use one of pick_score"
    ):
        open_folder(published).reward("clip_b")


@pytest.mark.slow
def test_published_judges(published: Path, digits: tuple) -> None:
    check_opened(published, ["clip_score_b32", "pick_score"], digits[0][:4])


def test_descriptions_say_where_the_weights_are(published: Path, pick_score_folder: Path) -> None:
    described = json.loads((published / "pick_score.json").read_text())
    assert described == {
        "kind": "published",
        "judge": "pick-score",
        "weights": str(pick_score_folder),
        "sha256": weights_sha256(pick_score_folder),
        "class_names": NAMES,
        "template": "a scan of {}",
    }
    assert sorted(file.name for file in published.glob("*.json")) == [
        "clip_b.json",
        "inception.json",
        "pick_score.json",
    ]


def test_other_and_missing_weights_are_refused(published: Path, small_clip: Path) -> None:
    torch.save({}, small_clip)
    with pytest.raises(UserError, match=r"clip\.pt: the weights of clip-b are not those that .*clip_b\.json"):
        load(published / "clip_b.json")
    small_clip.unlink()
    with pytest.raises(UserError, match=r"clip\.pt: the weights of clip-b are missing"):
        load(published / "clip_b.json")
    with pytest.raises(UserError, match=r"missing: clip-l \(/nowhere\), clip-b \("):
        write_descriptions(published, {"clip-l": Path("/nowhere"), "clip-b": small_clip}, NAMES, PROMPT)


def test_broken_descriptions_are_refused(published: Path) -> None:
    file = published / "clip_b.json"
    described = json.loads(file.read_text())
    for broken, told in [
        ("{", "not JSON"),
        ("[]", "not a judge's description"),
        (
            json.dumps({**described, "judge": "clip-x"}),
            "judge 'clip-x' is unknown: use one of inception, dinov2, clip-l",
        ),
        (
            json.dumps({"kind": "published", "judge": "clip-b"}),
            "no class_names, sha256, template, weights in it",
        ),
    ]:
        file.write_text(broken)
        with pytest.raises(UserError, match=rf"clip_b\.json: {told}"):
            load(file)


def test_a_folder_without_judges_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"0 of cnn\.json, inception\.json, not one"):
        _ = open_folder(tmp_path).features


def test_weights_are_hashed_again_only_when_they_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "a.safetensors").write_bytes(b"a" * 100)
    (folder / "config.json").write_text("{}")
    hashed = []
    digest = weights_module._digest
    monkeypatch.setattr(weights_module, "_digest", lambda files: hashed.append(files) or digest(files))
    first = weights_sha256(folder)
    (folder / "config.json").write_text("{ }")  # no weights
    assert weights_sha256(folder) == first
    assert len(hashed) == 1
    (folder / "b.bin").write_bytes(b"b")
    second = weights_sha256(folder)
    assert second != first
    (folder / "a.safetensors").write_bytes(b"A" * 100)
    assert weights_sha256(folder) not in (first, second)
    assert len(hashed) == 3
    (tmp_path / "weights.sha256.json").write_text("damaged")
    assert weights_sha256(folder) not in (first, second)


def test_kind_of_judges_is_told_by_the_preset() -> None:
    from pydantic import TypeAdapter, ValidationError

    section: TypeAdapter = TypeAdapter(AnyJudgesConfig)
    assert isinstance(section.validate_python({}), JudgesConfig)
    assert isinstance(section.validate_python({"kind": "miniature", "cnn": {"width": 8}}), JudgesConfig)
    assert isinstance(section.validate_python({"kind": "published"}), PublishedJudgesConfig)
    for wrong in ({"kind": "publishd"}, {"kind": "published", "cnn": {}}, {"cnn": {"widht": 8}}):
        with pytest.raises(ValidationError):
            section.validate_python(wrong)


@pytest.mark.parametrize("template", ["a {}", "a {name}"])
def test_a_template_may_name_its_place(template: str) -> None:
    from metrics.judges.prompts import class_prompts, prompt_protocol

    assert class_prompts(template, ["cat", "{x}"]) == ["a cat", "a {x}"]
    assert prompt_protocol(template, NAMES)["template"] == "a {}"
    for wrong in ("a", "{} {name}"):
        with pytest.raises(UserError, match="exactly one"):
            class_prompts(wrong, NAMES)
