"""Real digits, two briefly trained judges and their reference, shared by the metrics' tests."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from metrics.judges.base import Judge
from metrics.judges.cnn import Cnn
from metrics.judges.files import build
from metrics.judges.section import JudgesConfig
from metrics.real import ArrayImages
from metrics.reference import Reference, make_reference
from metrics.samples import Samples

NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]

SMALL_CLIP: dict[str, Any] = {
    "embed_dim": 16,
    "quick_gelu": True,
    "vision_cfg": {"layers": 1, "width": 32, "head_width": 16, "patch_size": 16, "image_size": 64},
    "text_cfg": {"width": 32, "heads": 2, "layers": 1},
}

torch.set_num_threads(1)


def _make(kind: str) -> Judge:
    return build(kind, getattr(JudgesConfig(), kind), NAMES)


def _train(judge: Judge, images: Tensor, labels: Tensor, steps: int) -> Judge:
    """A plain AdamW loop, without the calibration that follows it."""
    generator = torch.Generator().manual_seed(judge.config.seed)
    optimiser = torch.optim.AdamW([p for p in judge.parameters() if p.requires_grad], judge.config.lr)
    judge.train()
    for _ in range(steps):
        picks = torch.randint(len(labels), (judge.config.batch,), generator=generator)
        optimiser.zero_grad()
        judge.training_loss(images[picks], labels[picks], generator).mean().backward()
        optimiser.step()
    return judge.eval().requires_grad_(False)


@pytest.fixture(scope="session")
def train() -> Callable[[Judge, Tensor, Tensor, int], Judge]:
    """train(judge, images, labels, steps)"""
    return _train


@pytest.fixture(scope="session")
def make() -> Callable[[str], Judge]:
    """make(kind): an untrained judge with default settings"""
    return _make


@pytest.fixture(scope="session")
def digits() -> tuple[np.ndarray, np.ndarray]:
    """All 1,797 scans: (N, 32, 32, 3) uint8 and (N,) int64."""
    from sklearn.datasets import load_digits

    data = load_digits()
    scans = (data.images * (255 / 16)).round().astype(np.uint8)
    large = [np.asarray(Image.fromarray(scan).resize((32, 32), Image.Resampling.BILINEAR)) for scan in scans]
    return np.repeat(np.stack(large)[..., None], 3, axis=-1), data.target.astype(np.int64)


@pytest.fixture(scope="session")
def tensors(digits: tuple[np.ndarray, np.ndarray]) -> tuple[Tensor, Tensor]:
    """The same as (N, 3, 32, 32) uint8 and (N,) int64 tensors."""
    images, labels = digits
    return torch.from_numpy(images.transpose(0, 3, 1, 2).copy()), torch.from_numpy(labels)


@pytest.fixture(scope="session")
def cnn(tensors: tuple[Tensor, Tensor], tmp_path_factory: pytest.TempPathFactory) -> Cnn:
    """Trained on the first 1,000 digits for a second, and saved, so that its hash is known."""
    judge = _make("cnn")
    _train(judge, tensors[0][:1000], tensors[1][:1000], 120)
    judge.save(tmp_path_factory.mktemp("judge") / "cnn")
    assert isinstance(judge, Cnn)
    return judge


@pytest.fixture(scope="session")
def clip() -> Judge:
    """Untrained: its scores are those of random weights."""
    return _make("clip").eval()


@pytest.fixture(scope="session")
def reference(digits: tuple[np.ndarray, np.ndarray], cnn: Cnn) -> Reference:
    """Of the first 1,000 digits."""
    return make_reference(ArrayImages(digits[0][:1000], digits[1][:1000]), cnn)


@pytest.fixture(scope="session")
def held_out(digits: tuple[np.ndarray, np.ndarray]) -> Samples:
    """The other 797 digits as if they were samples of one seed."""
    images, labels = digits[0][1000:], digits[1][1000:]
    return Samples(images, labels, np.zeros(len(labels), np.int64))


@pytest.fixture(scope="session")
def open_clip_model() -> nn.Module:
    """open_clip's CLIP at a small size, random weights."""
    from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg

    torch.manual_seed(0)
    sizes = SMALL_CLIP
    return CLIP(
        sizes["embed_dim"],
        CLIPVisionCfg(**sizes["vision_cfg"]),
        CLIPTextCfg(**sizes["text_cfg"]),
        quick_gelu=True,
    )


@pytest.fixture
def small_clip(open_clip_model: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Its weights file; open_clip takes the size of ViT-B/32 for this one."""
    import open_clip

    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "ViT-B-32-quickgelu", SMALL_CLIP)
    torch.save(open_clip_model.state_dict(), tmp_path / "clip.pt")
    return tmp_path / "clip.pt"


@pytest.fixture(scope="session")
def pick_score_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a small CLIPModel with random weights and its processor, as PickScore's are published."""
    from open_clip import tokenizer as bundled
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor, CLIPTokenizer

    folder, pairs = tmp_path_factory.mktemp("pick-score"), bundled._tokenizer
    names = dict(pairs.encoder)
    names["<|startoftext|>"], names["<|endoftext|>"] = (
        names.pop("<start_of_text>"),
        names.pop("<end_of_text>"),
    )
    (folder / "vocab.json").write_text(json.dumps(names))
    merges = [" ".join(pair) for pair in pairs.bpe_ranks]
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]))
    tokeniser = CLIPTokenizer(folder / "vocab.json", folder / "merges.txt")
    pixels = CLIPImageProcessor(size={"shortest_edge": 64}, crop_size={"height": 64, "width": 64})
    tower = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    torch.manual_seed(0)
    model = CLIPModel(
        CLIPConfig(text_config=tower, vision_config={**tower, "image_size": 64, "patch_size": 16})
    )
    model.save_pretrained(folder)
    CLIPProcessor(pixels, tokeniser).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def dinov2_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a small Dinov2 with random weights, in the hub's format; its positions are of 5 x 5 patches."""
    from transformers import Dinov2Config, Dinov2Model

    folder = tmp_path_factory.mktemp("dinov2")
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    Dinov2Model(Dinov2Config(image_size=70, patch_size=14, **sizes)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
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
