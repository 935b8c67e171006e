"""Shares of many subsets at once are those of each subset alone, by the definitions."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from metrics import manifold as module
from metrics.kernel import kernel_distances, own_mean
from metrics.manifold import manifold, radii


def by_definition(made: np.ndarray, real: np.ndarray, k: int) -> list[float]:
    """Precision, recall, density, coverage of one set."""
    apart = cdist(made, real)
    own, other = (np.sort(cdist(x, x), axis=1)[:, k] for x in (made, real))  # column 0 is the image itself
    inside = apart <= other
    return [
        inside.any(1).mean(),
        (apart <= own[:, None]).any(0).mean(),
        inside.sum(1).mean() / k,
        inside.any(0).mean(),
    ]


@pytest.fixture(params=[48, 4])  # 4: nearly every subset has too few of the kept neighbours
def sets(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> tuple[np.ndarray, np.ndarray, list]:
    monkeypatch.setattr(module, "KEPT", request.param)
    monkeypatch.setattr(module, "BLOCK", 33)
    rng = np.random.default_rng(0)
    made, real = rng.normal(size=(120, 3)) * 1.2, rng.normal(size=(301, 3))
    made[:20] = made[0]  # a collapsed part: radius 0
    made[20:24] += 50  # and one far away
    return made, real, [np.arange(120), *(np.sort(rng.permutation(120)[:60]) for _ in range(5))]


@pytest.mark.parametrize("k", [1, 3])
def test_every_subset_has_its_own_shares(sets: tuple, k: int) -> None:
    made, real, subsets = sets
    found = manifold(made, real, radii(real, k), k, subsets)
    columns = found.precision, found.recall, found.density, found.coverage
    for got, subset in zip(zip(*columns, strict=True), subsets, strict=True):
        assert got == pytest.approx(by_definition(made[subset], real, k), abs=1e-12)


def test_radii_are_distances_to_the_kth_neighbour(sets: tuple) -> None:
    _, real, _ = sets
    assert np.allclose(radii(real, 3), np.sort(cdist(real, real), axis=1)[:, 3] ** 2, rtol=1e-9)
    assert np.allclose(radii(real[:5], 3), np.sort(cdist(real[:5], real[:5]), axis=1)[:, 3] ** 2, rtol=1e-9)


def test_kernel_distances_are_the_formula(sets: tuple) -> None:
    made, real, subsets = sets
    for got, subset in zip(kernel_distances(made, real, own_mean(real), subsets), subsets, strict=True):
        x = made[subset]
        xx, yy, xy = ((a @ b.T / 3 + 1) ** 3 for a, b in ((x, x), (real, real), (x, real)))
        own = [(m.sum() - m.trace()) / (len(m) * (len(m) - 1)) for m in (xx, yy)]
        assert got == pytest.approx(sum(own) - 2 * xy.mean(), rel=1e-9)
