"""GSIM's rivals against closed forms, where student, teacher and data are Gaussian: x0 = m + s z. Everything in float64."""

import math
from types import SimpleNamespace

import pytest
import torch
from test_gsim import CLASS, NODES, WEIGHTS, noise_of, teacher_noise
from torch import Tensor

from marval.objectives import dmd, energy, regression
from marval.objectives.settings import Distance
from marval.sampling.solvers import unipc
from marval.sampling.solvers.levels import even_levels

THETAS = [(0.3, 0.7), (-1.0, 0.4), (1.5, 1.2)]


def trained(theta: tuple[float, float]) -> tuple[Tensor, Tensor]:
    m, s = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in theta)
    return m, s


def gradient(value: Tensor, m: Tensor, s: Tensor) -> Tensor:
    return torch.stack(torch.autograd.grad(value, (m, s)))


def dmd_gradient(theta, alpha, w, weight, kind) -> Tensor:
    """Of E <d'(y), x0>, by quadrature over (z, noise), the auxiliary score being the student's."""
    sigma = math.sqrt(1 - alpha**2)
    m, s = trained(theta)
    z, noise = torch.meshgrid(NODES, NODES, indexing="ij")
    x0 = (m + s * z).reshape(-1, 1)
    x = alpha * x0 + sigma * noise.reshape(-1, 1)
    scores = SimpleNamespace(
        auxiliary=noise_of(x, *theta, alpha, sigma),
        teacher=teacher_noise(x, alpha, sigma, w),
        weight=torch.full_like(x, weight).detach(),
        x0=x0,
    )
    both = (WEIGHTS[:, None] * WEIGHTS[None, :]).reshape(-1)
    return gradient((both * dmd.terms(scores, kind)["loss_dmd"]).sum(), m, s)


@pytest.mark.parametrize("theta", THETAS)
@pytest.mark.parametrize("alpha", [0.25, 0.7, 0.95])
def test_dmd_has_the_gradient_of_the_kl_divergence(theta, alpha):
    """KL(q_t || p_t) of two Gaussians, times lambda / alpha."""
    sigma, weight = math.sqrt(1 - alpha**2), 1.7
    m, s = trained(theta)
    mean, variance = alpha * m, alpha**2 * s**2 + sigma**2
    theirs, spread = alpha * CLASS[0], alpha**2 * CLASS[1] ** 2 + sigma**2
    kl = 0.5 * (torch.log(spread / variance) + (variance + (mean - theirs) ** 2) / spread - 1)
    exact = weight * sigma / alpha * gradient(kl, m, s)
    assert torch.allclose(dmd_gradient(theta, alpha, 1.0, weight, Distance.SQUARED), exact, rtol=1e-6)


def test_dmd_with_guidance_or_normalised_is_another_gradient():
    plain = dmd_gradient((0.3, 0.7), 0.7, 1.0, 1.0, Distance.SQUARED)
    assert (dmd_gradient((0.3, 0.7), 0.7, 2.0, 1.0, Distance.SQUARED) - plain).norm() > 0.1 * plain.norm()
    # one dimension: d'(y) is the sign of y, and the gradient E sign(y) (1, z)
    normalised = dmd_gradient((0.3, 0.7), 0.7, 1.0, 1.0, Distance.PSEUDO_HUBER)
    assert normalised.abs().max() < 1.0 + 1e-9
    assert not torch.allclose(normalised, plain, rtol=0.1)


def energy_by_monte_carlo(theta: tuple[float, float]) -> tuple[Tensor, Tensor]:
    """Gradient of the expected loss, and its standard error; on a grid the norm's kink would disturb it."""
    n = 400_000
    first, second, other = torch.randn(
        3, n, 1, generator=torch.Generator().manual_seed(1), dtype=torch.float64
    )
    m, s = (torch.full((n, 1), v, dtype=torch.float64, requires_grad=True) for v in theta)
    scores = SimpleNamespace(x0=m + s * first, second=m + s * second, real=CLASS[0] + CLASS[1] * other)
    value = energy.terms(scores, Distance.SQUARED)["loss_energy"]
    assert value.shape == (n,)
    each = torch.cat(torch.autograd.grad(value.sum(), (m, s)), dim=1)
    return each.mean(dim=0), each.std(dim=0) / math.sqrt(n)


def mean_norm(mean: Tensor, variance: Tensor) -> Tensor:
    """E |x| of x ~ N(mean, variance)."""
    spread = torch.sqrt(variance)
    folded = mean * torch.erf(mean / (spread * math.sqrt(2)))
    return spread * math.sqrt(2 / math.pi) * torch.exp(-(mean**2) / (2 * variance)) + folded


@pytest.mark.parametrize("theta", THETAS)
def test_energy_has_the_gradient_of_the_expected_score(theta):
    m, s = trained(theta)
    apart = mean_norm(m - CLASS[0], s**2 + CLASS[1] ** 2)
    exact = gradient(2 * apart - mean_norm(torch.zeros_like(m), 2 * s**2), m, s)
    found, error = energy_by_monte_carlo(theta)
    assert ((found - exact).abs() < 4 * error).all()


def test_energy_is_least_at_the_law_of_the_data():
    found, error = energy_by_monte_carlo(CLASS)
    assert (found.abs() < 4 * error).all()
    assert energy_by_monte_carlo((CLASS[0], 0.3))[0][1] < -0.1  # too narrow: wider is better
    assert energy_by_monte_carlo((CLASS[0], 0.9))[0][1] > 0.1


def test_regression_learns_the_end_of_the_flow():
    """Least squares onto the chain from the student's noise: for Gaussian data the flow is linear, and found exactly."""
    mean, std = CLASS
    levels = even_levels(64, 900)
    start = NODES[::20, None]
    state = torch.stack([start, *[torch.zeros_like(start)] * (unipc.SLOTS - 1)])
    for i, level in enumerate(levels[:-1]):
        noise = noise_of(state[0], mean, std, level.alpha, level.sigma)
        state = unipc.step(levels, i, state, noise)
    m, s = trained((0.0, 1.0))
    for _ in range(50):
        scores = SimpleNamespace(x0=m + s * start, chain=state[0])
        value = regression.terms(scores, Distance.SQUARED)["loss_regression"].mean()
        step = gradient(value, m, s)
        m, s = trained(((m - 0.5 * step[0]).item(), (s - 0.03 * step[1]).item()))
    first = levels[0]
    spread = math.sqrt(first.alpha**2 * std**2 + first.sigma**2)
    assert s.item() == pytest.approx(std / spread, rel=1e-3)
    assert m.item() == pytest.approx(mean - std * first.alpha * mean / spread, rel=1e-3)
    huber = regression.terms(SimpleNamespace(x0=state[0], chain=state[0]), Distance.PSEUDO_HUBER)
    assert huber["loss_regression"].abs().max() == 0
