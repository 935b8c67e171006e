"""The published judges on random weights: the wrapping is right wherever the libraries' own single-image path
agrees.
"""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from metrics import UserError
from metrics.published.clip import OpenClip
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


@pytest.fixture(scope="module")
def open_clip_model() -> nn.Module:
    from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg

    torch.manual_seed(0)
    vision = CLIPVisionCfg(layers=1, width=32, head_width=16, patch_size=16, image_size=64)
    return CLIP(16, vision, CLIPTextCfg(width=32, heads=2, layers=1), quick_gelu=True)


def test_clip_score_is_the_cosine_of_each_pair(images: np.ndarray, open_clip_model: nn.Module) -> None:
    import open_clip

    preprocess = open_clip.image_transform(64, is_train=False)
    judge = OpenClip(open_clip_model, preprocess, CLASSES, TEMPLATE)
    scores = judge.score_images(images, LABELS, batch=2)
    for score, image, label in zip(scores, images, LABELS, strict=True):
        with torch.no_grad():
            seen = open_clip_model.encode_image(preprocess(Image.fromarray(image))[None])
            said = open_clip_model.encode_text(open_clip.tokenize(TEMPLATE.format(CLASSES[label])))
        assert score == pytest.approx(torch.cosine_similarity(seen, said).item(), abs=1e-5)
    assert scores.dtype == np.float32
    assert judge.protocol["template"] == TEMPLATE
    other = OpenClip(open_clip_model, preprocess, [*CLASSES, "dog"], TEMPLATE)
    assert other.protocol["class_names_sha256"] != judge.protocol["class_names_sha256"]


def test_clip_weights_are_read_strictly_from_a_file(
    images: np.ndarray, open_clip_model: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import open_clip

    sizes = {
        "embed_dim": 16,
        "quick_gelu": True,
        "vision_cfg": {"layers": 1, "width": 32, "head_width": 16, "patch_size": 16, "image_size": 64},
        "text_cfg": {"width": 32, "heads": 2, "layers": 1},
    }
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "ViT-B-32-quickgelu", sizes)
    torch.save(open_clip_model.state_dict(), tmp_path / "clip.pt")
    judge = OpenClip.from_file("ViT-B-32-quickgelu", tmp_path / "clip.pt", CLASSES, TEMPLATE)
    assert judge.name == "ViT-B-32-quickgelu/openai"
    assert judge.sha256 is not None
    preprocess = open_clip.image_transform(
        64, is_train=False, mean=open_clip.OPENAI_DATASET_MEAN, std=open_clip.OPENAI_DATASET_STD
    )
    expected = OpenClip(open_clip_model, preprocess, CLASSES, TEMPLATE).score_images(images, LABELS)
    assert np.allclose(judge.score_images(images, LABELS), expected, atol=1e-6)
    with pytest.raises(UserError, match="use one of ViT-L-14-quickgelu"):
        OpenClip.from_file("ViT-B-32", tmp_path / "clip.pt", CLASSES)


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


def test_pick_score_is_scaled_cosine_of_each_pair(images: np.ndarray, tmp_path: Path) -> None:
    from open_clip import tokenizer as bundled
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor, CLIPTokenizer

    pairs = bundled._tokenizer
    names = dict(pairs.encoder)
    names["<|startoftext|>"], names["<|endoftext|>"] = (
        names.pop("<start_of_text>"),
        names.pop("<end_of_text>"),
    )
    (tmp_path / "vocab.json").write_text(json.dumps(names))
    merges = [" ".join(pair) for pair in pairs.bpe_ranks]
    (tmp_path / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]))
    tokeniser = CLIPTokenizer(tmp_path / "vocab.json", tmp_path / "merges.txt")
    pixels = CLIPImageProcessor(size={"shortest_edge": 64}, crop_size={"height": 64, "width": 64})
    tower = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    torch.manual_seed(0)
    model = CLIPModel(
        CLIPConfig(text_config=tower, vision_config={**tower, "image_size": 64, "patch_size": 16})
    ).eval()
    model.save_pretrained(tmp_path)
    CLIPProcessor(pixels, tokeniser).save_pretrained(tmp_path)
    judge = PickScoreV1.from_folder(tmp_path, CLASSES, TEMPLATE)
    scores = judge.score_images(images, LABELS, batch=2)
    for score, image, label in zip(scores, images, LABELS, strict=True):
        inputs = CLIPProcessor(pixels, tokeniser)(
            text=TEMPLATE.format(CLASSES[label]), images=Image.fromarray(image), return_tensors="pt"
        )
        with torch.no_grad():
            assert score == pytest.approx(model(**inputs).logits_per_image.item(), abs=1e-4)
    assert judge.role == "training reward"


@pytest.fixture(scope="module")
def inception_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of random Inception weights, in the layout of the published one."""
    from torch_fidelity import feature_extractor_inceptionv3 as module

    file = tmp_path_factory.mktemp("inception") / "weights.pth"
    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "load_state_dict_from_url", lambda *_, **__: {})
        patch.setattr(nn.Module, "load_state_dict", lambda *_, **__: None)
        network = module.FeatureExtractorInceptionV3("random", ["2048"])
    torch.save(network.state_dict(), file)
    return file


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


def test_a_pickle_in_the_place_of_weights_is_not_run(tmp_path: Path) -> None:
    torch.save(SimpleNamespace(fc=Tensor([1.0])), tmp_path / "weights.pth")
    with pytest.raises(UserError, match=r"weights\.pth: not a plain weights file"):
        Inception(tmp_path / "weights.pth")
