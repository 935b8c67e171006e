"""The published judges on random weights: the wrapping is right wherever the libraries' own single-image path
agrees.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from metrics import UserError
from metrics.published.clip import ClipB
from metrics.published.dinov2 import Dinov2, prepared
from metrics.published.image_reward import ImageRewardV1
from metrics.published.inception import Inception
from metrics.published.pick_score import PickScoreV1

CLASSES = ["crane", "tabby cat", "crane"]  # two classes may share a name: they are keyed by index
TEMPLATE = "a picture of {}"


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    """(5, 40, 40, 3) uint8 with structure, not square to the networks' inputs."""
    coarse = np.random.default_rng(0).integers(0, 256, (5, 5, 5, 3), dtype=np.uint8)
    return np.stack(
        [np.asarray(Image.fromarray(x).resize((40, 40), Image.Resampling.BICUBIC)) for x in coarse]
    )


LABELS = np.array([0, 1, 2, 1, 0])


def test_clip_score_is_the_cosine_of_each_pair(images: np.ndarray, open_clip_model: nn.Module) -> None:
    import open_clip

    preprocess = open_clip.image_transform(64, is_train=False)
    judge = ClipB(open_clip_model, preprocess, CLASSES, TEMPLATE)
    scores = judge.score_images(images, LABELS, batch=2)
    for score, image, label in zip(scores, images, LABELS, strict=True):
        with torch.no_grad():
            seen = open_clip_model.encode_image(preprocess(Image.fromarray(image))[None])
            said = open_clip_model.encode_text(open_clip.tokenize(TEMPLATE.format(CLASSES[label])))
        assert score == pytest.approx(torch.cosine_similarity(seen, said).item(), abs=1e-5)
    assert scores.dtype == np.float32
    assert judge.protocol["template"] == TEMPLATE
    other = ClipB(open_clip_model, preprocess, [*CLASSES, "dog"], TEMPLATE)
    assert other.protocol["class_names_sha256"] != judge.protocol["class_names_sha256"]


def test_clip_weights_are_read_strictly_from_a_file(
    images: np.ndarray, open_clip_model: nn.Module, small_clip: Path
) -> None:
    import open_clip

    judge = ClipB.open(small_clip, CLASSES, TEMPLATE)
    assert (judge.name, judge.metric) == ("ViT-B-32-quickgelu/openai", "clip_score_b32")
    assert judge.sha256 is not None
    preprocess = open_clip.image_transform(
        64, is_train=False, mean=open_clip.OPENAI_DATASET_MEAN, std=open_clip.OPENAI_DATASET_STD
    )
    expected = ClipB(open_clip_model, preprocess, CLASSES, TEMPLATE).score_images(images, LABELS)
    assert np.allclose(judge.score_images(images, LABELS), expected, atol=1e-6)


@pytest.fixture(scope="module")
def image_reward(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The package's own ImageReward class with random weights; the image and text towers at a small size."""
    from ImageReward.ImageReward import ImageReward
    from ImageReward.models.BLIP import blip_pretrain
    from ImageReward.models.BLIP.vit import VisionTransformer
    from transformers import BertTokenizer

    folder = tmp_path_factory.mktemp("image-reward")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "picture", "of", "crane", "tabby", "cat"]
    (folder / "vocab.txt").write_text("\n".join(words))
    sizes = {"hidden_size": 768, "num_attention_heads": 2, "num_hidden_layers": 1, "intermediate_size": 64}
    sizes |= {"vocab_size": 11, "max_position_embeddings": 40, "add_cross_attention": True, "pad_token_id": 0}
    (folder / "med_config.json").write_text(json.dumps(sizes))
    torch.manual_seed(0)
    tower = VisionTransformer(img_size=224, patch_size=56, embed_dim=32, depth=1, num_heads=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blip_pretrain, "create_vit", lambda *_: (tower, 32))
        patch.setattr(blip_pretrain, "init_tokenizer", lambda: BertTokenizer(folder / "vocab.txt"))
        model = ImageReward(med_config=str(folder / "med_config.json"), device="cpu").eval()
    for parameter in model.parameters():  # the package's init is so small that all rewards are alike
        if parameter.ndim > 1:
            nn.init.xavier_normal_(parameter)
    return model


def test_image_reward_in_batches_is_its_own_score(images: np.ndarray, image_reward: Any) -> None:
    scores = ImageRewardV1(image_reward, CLASSES, TEMPLATE).score_images(images, LABELS, batch=3)
    with torch.no_grad():
        own = [
            image_reward.score(TEMPLATE.format(CLASSES[label]), Image.fromarray(image))
            for image, label in zip(images, LABELS, strict=True)
        ]
    assert np.std(own) > 1e-3
    assert np.allclose(scores, own, atol=1e-5)


def test_image_reward_keeps_gradients(image_reward: Any) -> None:
    pixels = torch.randn(2, 3, 224, 224, requires_grad=True)
    ImageRewardV1(image_reward, CLASSES, TEMPLATE).rewards(pixels, torch.tensor([0, 1])).sum().backward()
    assert pixels.grad is not None
    assert (pixels.grad.flatten(1).norm(dim=1) > 0).all()


def test_pick_score_is_scaled_cosine_of_each_pair(images: np.ndarray, pick_score_folder: Path) -> None:
    from transformers import CLIPModel, CLIPProcessor

    judge = PickScoreV1.open(pick_score_folder, CLASSES, TEMPLATE)
    scores = judge.score_images(images, LABELS, batch=2)
    model, processor = (kind.from_pretrained(pick_score_folder) for kind in (CLIPModel, CLIPProcessor))
    for score, image, label in zip(scores, images, LABELS, strict=True):
        inputs = processor(
            text=TEMPLATE.format(CLASSES[label]), images=Image.fromarray(image), return_tensors="pt"
        )
        with torch.no_grad():
            assert score == pytest.approx(model(**inputs).logits_per_image.item(), abs=1e-4)


@pytest.mark.parametrize("shape", [(40, 40), (64, 64), (97, 64), (150, 230)])
def test_differentiable_pick_score_prepares_as_the_processor(
    shape: tuple[int, int], pick_score_folder: Path
) -> None:
    from transformers import CLIPImageProcessor

    coarse = np.random.default_rng(0).integers(0, 256, (3, 6, 6, 3), dtype=np.uint8)
    large = [Image.fromarray(x).resize(shape[::-1], Image.Resampling.BICUBIC) for x in coarse]
    judge = PickScoreV1.open(pick_score_folder, CLASSES, TEMPLATE)
    unit = torch.from_numpy(np.stack([np.asarray(x) for x in large])).permute(0, 3, 1, 2) / 255
    theirs = CLIPImageProcessor.from_pretrained(pick_score_folder)(images=large, return_tensors="pt")
    # the processor rounds to bytes after each of two passes: a step of 1/255 and a little, divided by a deviation of 0.26
    assert (judge.prepare(unit) - theirs["pixel_values"]).abs().max() < 1.2 / 255 / 0.26
    labels = torch.tensor([2, 0, 1])
    in_bytes = judge.score_images(np.stack([np.asarray(x) for x in large]), labels.numpy())
    assert np.ptp(in_bytes) > 0.1
    assert np.allclose(judge.score(unit, labels).numpy(), in_bytes, atol=0.01)


@pytest.mark.slow
def test_gradient_of_pick_score_is_that_of_its_differences(pick_score_folder: Path) -> None:
    from transformers import CLIPModel, CLIPProcessor

    model, processor = (kind.from_pretrained(pick_score_folder) for kind in (CLIPModel, CLIPProcessor))
    judge = PickScoreV1(model, processor, CLASSES, TEMPLATE)
    judge.prompt_embeddings()  # once and for all; transformers' text tower knows no double precision
    model.double()
    generator = torch.Generator().manual_seed(0)
    images = (0.2 + 0.6 * torch.rand(1, 3, 7, 6, generator=generator, dtype=torch.float64)).requires_grad_()
    labels = torch.tensor([1])
    assert torch.autograd.gradcheck(lambda x: judge.score(x, labels), images, eps=1e-6, atol=1e-6, rtol=1e-4)


def test_pick_score_computes_the_towers_layers_twice_and_keeps_none(pick_score_folder: Path) -> None:
    from transformers import CLIPModel, CLIPProcessor

    model, processor = (kind.from_pretrained(pick_score_folder) for kind in (CLIPModel, CLIPProcessor))
    judge = PickScoreV1(model, processor, CLASSES, TEMPLATE)
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    calls: list[int] = []
    for layer in model.vision_model.encoder.layers:
        layer.register_forward_pre_hook(lambda *_: calls.append(1))
    score = judge.score(images, torch.tensor([0, 1])).sum()
    assert len(calls) == 2
    (gradient,) = torch.autograd.grad(score, images)
    assert len(calls) == 4
    model.gradient_checkpointing_disable()
    (kept,) = torch.autograd.grad(judge.score(images, torch.tensor([0, 1])).sum(), images)
    assert torch.equal(gradient, kept)
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert not model.training


def test_pick_score_under_autocast_is_close_and_in_float32(pick_score_folder: Path) -> None:
    judge = PickScoreV1.open(pick_score_folder, CLASSES, TEMPLATE)
    images = torch.rand(3, 3, 80, 64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    labels = torch.tensor([0, 1, 2])
    with torch.autocast("cpu", torch.bfloat16):
        low = judge.score(images, labels)  # the prompts are embedded here, and must not be in bfloat16
    low.sum().backward()
    full = judge.score(images, labels)
    assert low.dtype == full.dtype == torch.float32
    assert torch.allclose(low, full, atol=0.1)
    assert not torch.equal(low, full)
    fresh = PickScoreV1.open(pick_score_folder, CLASSES, TEMPLATE)
    assert torch.equal(judge.prompt_embeddings(), fresh.prompt_embeddings())
    assert images.grad is not None
    assert images.grad.isfinite().all()


@pytest.mark.slow
def test_inception_gives_torch_fidelitys_layers(images: np.ndarray, inception_weights: Path) -> None:
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    batch = torch.from_numpy(images[:2].transpose(0, 3, 1, 2).copy())
    judge = Inception(inception_weights)
    features = judge.features(batch)
    own = FeatureExtractorInceptionV3(
        "own", ["2048", "logits_unbiased"], feature_extractor_weights_path=str(inception_weights)
    )
    expected = own(batch)
    assert torch.allclose(features, expected[0], rtol=1e-4, atol=1e-6)
    assert torch.allclose(judge.head(features), expected[1], rtol=1e-3, atol=1e-5)
    assert features.shape == (2, 2048)


def test_dinov2_gives_what_transformers_gives(images: np.ndarray, dinov2_folder: Path) -> None:
    from transformers import BitImageProcessor, Dinov2Model

    judge = Dinov2.open(dinov2_folder, CLASSES, TEMPLATE)
    side = {"height": 224, "width": 224}
    processor = BitImageProcessor(size=side, do_center_crop=False)  # ImageNet's mean and deviation, below
    processor.image_mean, processor.image_std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    model = Dinov2Model.from_pretrained(dinov2_folder).eval()
    for size in (40, 256):  # enlarged and made smaller
        pictures = [Image.fromarray(x).resize((size, size), Image.Resampling.NEAREST) for x in images]
        batch = torch.from_numpy(np.stack([np.asarray(x) for x in pictures]).transpose(0, 3, 1, 2).copy())
        pixels = processor(pictures, return_tensors="pt")["pixel_values"]
        with torch.no_grad():
            expected = model(pixel_values=pixels).last_hidden_state[:, 0]
        features = judge.features(batch)
        assert torch.allclose(features, expected, atol=1e-4)
        assert (features.shape, judge.head(features).shape) == ((5, 32), (5, 0))
        # one picture at a time, so that no batch is looked at as a whole
        assert torch.allclose(judge.features(batch[1:2]), features[1:2], atol=1e-4)


def test_dinov2_resizes_as_dgm_eval_does(images: np.ndarray) -> None:
    from torchvision import transforms

    asked = transforms.Compose(
        [
            transforms.Resize((224, 224), transforms.InterpolationMode.BICUBIC),
            transforms.ToTensor(),
            transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )
    large = [Image.fromarray(x).resize((256, 256), Image.Resampling.NEAREST) for x in images]
    batch = torch.from_numpy(np.stack([np.asarray(x) for x in large]).transpose(0, 3, 1, 2).copy())
    assert torch.allclose(prepared(batch), torch.stack([asked(x) for x in large]), atol=1e-6)


def _cut(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:1000])


def _without_a_layer(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 3}))


def _narrower(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "hidden_size": 16}))


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (_cut, r"model\.safetensors: not readable as weights \(SafetensorError: "),
        (_without_a_layer, r"model\.safetensors: not readable as weights \(RuntimeError: .* Missing key"),
        (_narrower, r"model\.safetensors: not readable as weights \(RuntimeError: .* size mismatch"),
        (
            lambda folder: (folder / "config.json").write_text("{"),
            r"config\.json: not readable as weights \(JSON",
        ),
        (lambda folder: (folder / "config.json").unlink(), r"config\.json: DINOv2's configuration not found"),
        (
            lambda folder: (folder / "model.safetensors").unlink(),
            r"model\.safetensors: DINOv2's weights not found",
        ),
    ],
    ids=[
        "cut",
        "of fewer layers",
        "of another width",
        "broken configuration",
        "no configuration",
        "no weights",
    ],
)
def test_damaged_and_wrong_dinov2_weights_are_one_line(
    dinov2_folder: Path, tmp_path: Path, spoil: Callable[[Path], None], told: str
) -> None:
    folder = shutil.copytree(dinov2_folder, tmp_path / "dinov2")
    spoil(folder)
    with pytest.raises(UserError, match=told) as error:
        Dinov2(folder)
    assert "\n" not in str(error.value)
    assert "https://huggingface.co/facebook/dinov2-large" in str(error.value)


def test_a_pickle_in_the_place_of_weights_is_not_run(tmp_path: Path) -> None:
    torch.save(SimpleNamespace(fc=Tensor([1.0])), tmp_path / "weights.pth")
    with pytest.raises(UserError, match=r"weights\.pth: not a plain weights file"):
        Inception(tmp_path / "weights.pth")
