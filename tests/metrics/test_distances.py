"""The same numbers as torch-fidelity end to end, and as a float64 evaluation of the formulas."""

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.linalg import sqrtm
from torch import Tensor

from metrics import distances
from metrics.features import Features, extract
from metrics.judges.cnn import Cnn
from metrics.kernel import kernel_distances, own_mean
from metrics.manifold import manifold
from metrics.moments import statistics
from metrics.reference import Reference
from metrics.samples import Samples
from metrics.settings import DistanceSettings


@pytest.fixture(scope="module")
def found(held_out: Samples, cnn: Cnn) -> Features:
    return extract(cnn, held_out)


@pytest.fixture(scope="module")
def fidelity(
    held_out: Samples,
    digits: tuple[np.ndarray, np.ndarray],
    cnn: Cnn,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, float]:
    """torch-fidelity's own answer from PNG folders, with the small cnn registered as its feature extractor."""
    from torch_fidelity import calculate_metrics, register_feature_extractor
    from torch_fidelity.feature_extractor_base import FeatureExtractorBase

    class Extractor(FeatureExtractorBase):
        def __init__(self, name: str, features_list: list[str], **_: object) -> None:
            super().__init__(name, features_list)
            self.cnn = cnn

        @staticmethod
        def get_provided_features_list() -> tuple[str, ...]:
            return "penultimate", "logits"

        @staticmethod
        def get_default_feature_layer_for_metric(metric: str) -> str:
            return "logits" if metric == "isc" else "penultimate"

        @staticmethod
        def can_be_compiled() -> bool:
            return False

        def forward(self, images: Tensor) -> tuple[Tensor, ...]:
            features = self.cnn.features(images)
            answers = {"penultimate": features, "logits": self.cnn.head(features)}
            return tuple(answers[name] for name in self.features_list)

    register_feature_extractor("digits-cnn-for-test", Extractor)
    folders = [tmp_path_factory.mktemp(name) for name in ("made", "real")]
    for folder, images in zip(folders, (held_out.images, digits[0][:1000]), strict=True):
        for index, image in enumerate(images):
            Image.fromarray(image).save(folder / f"{index:05d}.png")
    return calculate_metrics(
        input1=str(folders[0]),
        input2=str(folders[1]),
        feature_extractor="digits-cnn-for-test",
        isc=True,
        fid=True,
        prc=True,
        cuda=False,
        cache=False,
        save_cpu_ram=True,
        verbose=False,
    )


@pytest.mark.slow
def test_frechet_distance_is_torch_fidelitys(found: Features, reference: Reference, fidelity: dict) -> None:
    ours = distances.frechet_to(found.features, reference.mu, reference.sigma)
    assert ours == pytest.approx(fidelity["frechet_inception_distance"], rel=1e-4)


def test_frechet_distance_is_the_formula_in_float64(found: Features, reference: Reference) -> None:
    mu, sigma = statistics(found.features)
    root = sqrtm(sigma @ reference.sigma).real
    expected = ((mu - reference.mu) ** 2).sum() + np.trace(sigma + reference.sigma - 2 * root)
    assert distances.frechet_to(found.features, reference.mu, reference.sigma) == pytest.approx(
        expected, rel=1e-6
    )


def test_inception_score_is_torch_fidelitys_and_the_formula(found: Features, fidelity: dict) -> None:
    ours = distances.inception_score(found.logits, DistanceSettings())
    assert ours == pytest.approx(fidelity["inception_score_mean"], rel=1e-4)
    p = torch.from_numpy(found.logits).double().softmax(1).numpy()
    whole = np.exp((p * (np.log(p) - np.log(p.mean(0)))).sum(1).mean())
    single = distances.inception_score(found.logits, DistanceSettings(inception_splits=1))
    assert single == pytest.approx(whole, rel=1e-9)


def test_manifolds_are_torch_fidelitys(found: Features, reference: Reference, fidelity: dict) -> None:
    assert reference.features is not None
    everything = [np.arange(len(found.features))]
    shares = manifold(found.features, reference.features, reference.radii(3), 3, everything)
    assert shares.precision[0] == pytest.approx(fidelity["precision"], abs=3e-3)  # its distances are float32
    assert shares.recall[0] == pytest.approx(fidelity["recall"], abs=3e-3)


def test_kernel_distance_is_torch_fidelitys_of_one_subset_of_all(
    found: Features, reference: Reference
) -> None:
    from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric

    assert reference.features is not None
    real = reference.features[: len(found.features)]
    both = [torch.from_numpy(x.astype(np.float64)) for x in (found.features, real)]
    expected = kid_features_to_metric(*both, kid_subsets=1, kid_subset_size=len(real), verbose=False)
    ours = kernel_distances(found.features, real, own_mean(real), [np.arange(len(real))])
    assert ours[0] == pytest.approx(expected[KEY_METRIC_KID_MEAN], rel=1e-6)


def test_class_order_lowers_the_inception_score_only_where_order_is_kept(
    found: Features, held_out: Samples
) -> None:
    assert held_out.labels is not None
    ordered = found.logits[held_out.labels.argsort(kind="stable")]
    shuffled, given = DistanceSettings(), DistanceSettings(inception_order="as-given")
    assert distances.inception_score(ordered, shuffled) > 5
    assert distances.inception_score(ordered, given) < 2.5


def test_features_do_not_depend_on_the_batch(held_out: Samples, cnn: Cnn, found: Features) -> None:
    assert np.allclose(extract(cnn, held_out, batch=37).features, found.features, atol=1e-5)


@pytest.mark.parametrize("n", [20, 400])  # 20: fewer images than features
def test_distance_to_a_target_is_the_same(found: Features, reference: Reference, n: int) -> None:
    target = distances.FrechetTarget(reference.mu, reference.sigma)
    some = found.features[:n]
    expected = distances.frechet_to(some, reference.mu, reference.sigma)
    assert target.distance(some) == pytest.approx(expected, rel=1e-6)
    singular = np.diag([1.0, 4.0] + [0.0] * 30)
    flat = distances.FrechetTarget(np.zeros(32), singular).distance(some)
    assert flat == pytest.approx(distances.frechet_to(some, np.zeros(32), singular), rel=1e-5)
