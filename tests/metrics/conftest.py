"""Real digits, two briefly trained judges and their reference, shared by the metrics' tests."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from metrics import judges
from metrics.real import ArrayImages
from metrics.reference import Reference, make_reference
from metrics.samples import Samples

NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]

torch.set_num_threads(1)


def _make(kind: str) -> judges.Judge:
    return judges.build(kind, getattr(judges.JudgesConfig(), kind), NAMES)


def _train(judge: judges.Judge, images: Tensor, labels: Tensor, steps: int) -> judges.Judge:
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
def train() -> Callable[[judges.Judge, Tensor, Tensor, int], judges.Judge]:
    """train(judge, images, labels, steps)"""
    return _train


@pytest.fixture(scope="session")
def make() -> Callable[[str], judges.Judge]:
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
def cnn(tensors: tuple[Tensor, Tensor], tmp_path_factory: pytest.TempPathFactory) -> judges.Cnn:
    """Trained on the first 1,000 digits for a second, and saved, so that its hash is known."""
    judge = _make("cnn")
    _train(judge, tensors[0][:1000], tensors[1][:1000], 120)
    judge.save(tmp_path_factory.mktemp("judge") / "cnn")
    assert isinstance(judge, judges.Cnn)
    return judge


@pytest.fixture(scope="session")
def clip() -> judges.Judge:
    """Untrained: its scores are those of random weights."""
    return _make("clip").eval()


@pytest.fixture(scope="session")
def reference(digits: tuple[np.ndarray, np.ndarray], cnn: judges.Cnn) -> Reference:
    """Of the first 1,000 digits."""
    return make_reference(ArrayImages(digits[0][:1000], digits[1][:1000]), cnn)


@pytest.fixture(scope="session")
def held_out(digits: tuple[np.ndarray, np.ndarray]) -> Samples:
    """The other 797 digits as if they were samples of one seed."""
    images, labels = digits[0][1000:], digits[1][1000:]
    return Samples(images, labels, np.zeros(len(labels), np.int64))
