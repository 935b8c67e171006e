"""The cache answers for the same images and the same judge, and for nothing else."""

from pathlib import Path

import numpy as np
import torch

from metrics.cache import FeatureCache
from metrics.features import extract
from metrics.judges.cnn import Cnn
from metrics.samples import Samples


class Counting:
    """A judge that counts the images it has seen."""

    def __init__(self, cnn: Cnn, sha256: str | None) -> None:
        self.cnn, self.name, self.sha256, self.seen = cnn, "counting", sha256, 0

    def features(self, images: torch.Tensor) -> torch.Tensor:
        self.seen += len(images)
        return self.cnn.features(images)

    def head(self, features: torch.Tensor) -> torch.Tensor:
        return self.cnn.head(features)


def test_features_are_made_once_for_the_same_content(held_out: Samples, cnn: Cnn, tmp_path: Path) -> None:
    cache, judge = FeatureCache(tmp_path / "cache"), Counting(cnn, "a" * 64)
    first = extract(judge, held_out, store=cache)
    copy = Samples(held_out.images.copy(), None, held_out.seed, "elsewhere")
    second = extract(judge, copy, store=cache)
    assert judge.seen == len(held_out.images)
    assert np.array_equal(first.features, second.features)
    assert np.array_equal(first.logits, second.logits)


def test_other_images_other_judges_and_damage_miss(held_out: Samples, cnn: Cnn, tmp_path: Path) -> None:
    cache, judge = FeatureCache(tmp_path), Counting(cnn, "a" * 64)
    extract(judge, held_out, store=cache)
    changed = held_out.images.copy()
    changed[0, 0, 0, 0] ^= 1
    assert cache.get(Samples(changed, None, held_out.seed), judge) is None
    assert cache.get(held_out, Counting(cnn, "b" * 64)) is None
    path = cache.path(held_out, judge)
    assert path is not None
    path.write_bytes(path.read_bytes()[:1000])
    assert cache.get(held_out, judge) is None


def test_a_judge_without_a_hash_is_not_cached(held_out: Samples, cnn: Cnn, tmp_path: Path) -> None:
    extract(Counting(cnn, None), held_out, store=FeatureCache(tmp_path / "cache"))
    assert not (tmp_path / "cache").exists()


def test_judges_compute_in_float32_and_leave_the_setting_alone(held_out: Samples, cnn: Cnn) -> None:
    class Watching(Counting):
        def features(self, images: torch.Tensor) -> torch.Tensor:
            assert not torch.backends.cudnn.allow_tf32
            assert not torch.is_grad_enabled()
            return super().features(images)

    before = torch.backends.cudnn.allow_tf32
    extract(Watching(cnn, None), held_out)
    assert torch.backends.cudnn.allow_tf32 == before
    assert torch.is_grad_enabled()
