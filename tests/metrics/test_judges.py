"""Every miniature judge: learns, repeats to the bit, gives gradients to the images, and survives its files."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from metrics import UserError
from metrics.judges.base import Judge
from metrics.judges.clip import Clip
from metrics.judges.files import build, load
from metrics.judges.pick_score import PickScore
from metrics.judges.preferences import worse_images
from metrics.judges.prompts import tokenise
from metrics.judges.quality import quality
from metrics.judges.registry import MINIATURE
from metrics.judges.section import JudgesConfig

KINDS = [record.name for record in MINIATURE if record.is_trained]
SCORERS = ["clip", "image_reward", "pick_score"]

NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
Make = Callable[[str], Judge]
Train = Callable[[Judge, Tensor, Tensor, int], Judge]


@pytest.mark.parametrize("kind", KINDS)
def test_loss_is_per_sample_and_training_repeats_to_the_bit(
    kind: str, tensors: tuple[Tensor, Tensor], make: Make, train: Train
) -> None:
    images, labels = tensors[0][:64], tensors[1][:64]
    loss = make(kind).training_loss(images[:7], labels[:7], torch.Generator().manual_seed(0))
    assert loss.shape == (7,)
    states = []
    for noise in (1, 2):
        torch.manual_seed(noise)  # nothing may draw from the global generator
        states.append(train(make(kind), images, labels, 3).state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


@pytest.mark.parametrize("kind", SCORERS)
def test_scores_give_gradients_to_the_images_only(
    kind: str, tensors: tuple[Tensor, Tensor], tmp_path: Path, make: Make
) -> None:
    make(kind).save(tmp_path / kind)
    judge = load(tmp_path / kind)
    images = (tensors[0][:4].float() / 255).requires_grad_()
    scores = judge.score(images, tensors[1][:4])
    assert scores.shape == (4,)
    scores.sum().backward()
    assert images.grad is not None
    assert (images.grad.flatten(1).norm(dim=1) > 0).all()
    assert all(parameter.grad is None for parameter in judge.parameters())


@pytest.mark.parametrize("kind", SCORERS)
def test_bytes_and_floats_score_alike_and_batches_do_not_matter(
    kind: str, digits: tuple, tensors: tuple, make: Make
) -> None:
    judge = make(kind).eval()
    with torch.no_grad():
        floats = judge.score(tensors[0][:9].float() / 255, tensors[1][:9])
    in_batches = judge.score_images(digits[0][:9], digits[1][:9], batch=4)
    assert np.allclose(in_batches, floats.numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_saved_and_loaded_is_the_same_judge(
    kind: str, tensors: tuple[Tensor, Tensor], tmp_path: Path, make: Make
) -> None:
    judge = make(kind).eval()
    judge.calibrate(*(part[:50] for part in tensors))
    judge.save(tmp_path / "w1.2")  # a dot in the name is not a suffix
    for path in (tmp_path / "w1.2", tmp_path / "w1.2.json", tmp_path / "w1.2.safetensors"):
        again = load(path)
        assert again.sha256 == judge.sha256
        assert again.constants == judge.constants
        assert not any(parameter.requires_grad for parameter in again.parameters())
    loss = [
        j.training_loss(tensors[0][:8], tensors[1][:8], torch.Generator().manual_seed(3))
        for j in (judge, again)
    ]
    assert torch.allclose(*loss, rtol=1e-4)  # attention takes a faster path where no weight needs a gradient


def test_weights_of_another_judge_are_refused(tmp_path: Path, make: Make) -> None:
    make("cnn").save(tmp_path / "one")
    config = JudgesConfig().cnn.model_copy(update={"seed": 9})
    build("cnn", config, NAMES).save(tmp_path / "two")
    (tmp_path / "two.safetensors").replace(tmp_path / "one.safetensors")
    with pytest.raises(UserError, match=r"one\.safetensors: its sha256"):
        load(tmp_path / "one")
    (tmp_path / "one.json").write_text('{"kind": "oracle"}')
    with pytest.raises(UserError, match="not a judge's description"):
        load(tmp_path / "one")
    description = (tmp_path / "two.json").read_text().replace('"width": 16', '"width": 0')
    (tmp_path / "two.json").write_text(description)
    with pytest.raises(UserError, match=r"two\.json: config\.width: input should be greater than") as caught:
        load(tmp_path / "two")
    assert "\n" not in str(caught.value)


def test_wrong_image_size_and_unknown_settings_are_refused(
    tensors: tuple[Tensor, Tensor], make: Make
) -> None:
    with pytest.raises(UserError, match=r"\(B, 3, 32, 32\), got \(2, 3, 16, 16\)"):
        make("clip").score(tensors[0][:2, :, :16, :16], tensors[1][:2])
    with pytest.raises(ValueError, match="Extra inputs"):
        JudgesConfig.model_validate({"clip": {"widht": 64}})
    with pytest.raises(UserError, match="exactly one"):
        build("clip", JudgesConfig().clip, NAMES, "a digit")


def test_reward_is_standardised_on_real_images(tensors: tuple[Tensor, Tensor], make: Make) -> None:
    judge = make("image_reward").eval()
    judge.calibrate(*(part[:300] for part in tensors))
    with torch.no_grad():
        scores = judge.score(tensors[0][:300], tensors[1][:300])
    assert scores.mean().item() == pytest.approx(0, abs=1e-3)
    assert scores.std().item() == pytest.approx(1, abs=1e-3)


def test_clip_score_is_a_cosine_with_the_asked_prompt(tensors: tuple[Tensor, Tensor], make: Make) -> None:
    judge = make("clip").eval()
    assert isinstance(judge, Clip)
    images, labels = tensors[0][:6], tensors[1][:6]
    image, text = judge.towers.encode_image(images.float() / 127.5 - 1), judge.towers.encode_text(judge.ids)
    expected = torch.cosine_similarity(image, text[labels])
    assert torch.allclose(judge.score(images, labels), expected, atol=1e-5)


def test_pick_score_is_bounded_by_its_fixed_scale(
    tensors: tuple[Tensor, Tensor], make: Make, train: Train
) -> None:
    judge = train(make("pick_score"), *tensors, 3)
    scale = JudgesConfig().pick_score.scale
    assert isinstance(judge, PickScore)
    assert judge.towers.logit_scale.exp().item() == pytest.approx(scale, rel=1e-5)
    with torch.no_grad():
        assert judge.score(*tensors).abs().max() <= scale * (1 + 1e-5)


@pytest.mark.slow
def test_compact_tokens_keep_the_tokenizers_order() -> None:
    from open_clip import tokenizer

    template = "a high-quality and harmonious picture of {}"
    prompts = tokenise(template, NAMES)
    full = tokenizer.tokenize([template.format(name) for name in NAMES])[:, : prompts.ids.shape[1]]
    assert torch.equal(prompts.ids.argsort(dim=1, stable=True), full.argsort(dim=1, stable=True))
    assert torch.equal(prompts.ids.argmax(1), full.argmax(1))
    assert (prompts.ids.max(1).values == prompts.end_id).all()
    assert torch.equal(prompts.mask.bool(), full != 0)
    assert len({tuple(row) for row in prompts.ids.tolist()}) == 10


@pytest.mark.slow
def test_worse_images_are_different_and_in_range(tensors: tuple[Tensor, Tensor]) -> None:
    images, labels = tensors[0][:400].float() / 255, tensors[1][:400]
    worse = worse_images(images, labels, torch.Generator().manual_seed(0))
    assert worse.min() >= 0
    assert worse.max() <= 1
    assert ((worse - images).abs().amax((1, 2, 3)) > 0.05).all()
    pixels = images.flatten(1)
    copies = [(pixels == image.flatten()).all(1).nonzero() for image in worse]
    mismatched = [(i, int(copy[0])) for i, copy in enumerate(copies) if len(copy)]
    assert len(mismatched) == pytest.approx(200, abs=40)
    assert all(labels[i] != labels[j] for i, j in mismatched)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "least"),
    [
        ("cnn", 0.93),
        pytest.param("clip", 0.4, marks=pytest.mark.long),
        pytest.param("pick_score", 0.7, marks=pytest.mark.long),
    ],
)
def test_a_short_training_learns(
    kind: str, least: float, tensors: tuple[Tensor, Tensor], make: Make, train: Train
) -> None:
    images, labels = tensors
    judge = make(kind)
    before = quality(judge.eval(), images[1200:], labels[1200:])["value"]
    after = quality(train(judge, images[:1200], labels[:1200], 150), images[1200:], labels[1200:])
    assert after["value"] > max(least, before)
    assert after["ci_low"] < after["value"] < after["ci_high"]
