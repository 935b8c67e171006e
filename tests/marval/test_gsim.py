"""The GSIM gradient against closed forms, where student, teacher and auxiliary score are Gaussian and known exactly.

Student x0 = m + s z; diffused, q_t = N(alpha m, alpha^2 s^2 + sigma^2). Everything in float64.
"""

import math
from importlib import import_module
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from marval.objectives.gsim import distance, distance_gradient, gsim_terms, x0_weight
from marval.objectives.guidance import guided
from marval.objectives.registry import OBJECTIVES
from marval.objectives.settings import Distance

CLASS = (0.8, 0.5)  # mean and deviation of the teacher's data with class, and without
NULL = (-0.2, 1.3)
# trapezoid rule under the normal density: converges exponentially, also near the pseudo-Huber's bend
NODES = torch.linspace(-9, 9, 401, dtype=torch.float64)
WEIGHTS = torch.exp(-NODES.square() / 2)
WEIGHTS = WEIGHTS / WEIGHTS.sum()


def noise_of(x: Tensor, mean: Tensor | float, std: Tensor | float, alpha: float, sigma: float) -> Tensor:
    """Exact noise prediction for data N(mean, std^2): -sigma x score of the diffused law."""
    return sigma * (x - alpha * mean) / (alpha**2 * std**2 + sigma**2)


def teacher_noise(x: Tensor, alpha: float, sigma: float, w: float) -> Tensor:
    return guided(noise_of(x, *CLASS, alpha, sigma), noise_of(x, *NULL, alpha, sigma), w)


def divergence_gradient(
    theta: tuple, alpha: float, w: float, weight: float, kind: Distance, r: float
) -> Tensor:
    """Gradient of F by quadrature over q_t, differentiating the student's exact score and its law together."""
    sigma = math.sqrt(1 - alpha**2)
    m, s = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in theta)
    x = alpha * m + torch.sqrt(alpha**2 * s**2 + sigma**2) * NODES
    y = -weight * (noise_of(x, m, s, alpha, sigma) - teacher_noise(x, alpha, sigma, w))
    value = (WEIGHTS * distance(y[:, None], kind, r)).sum()
    return torch.stack(torch.autograd.grad(value, (m, s)))


def gsim_gradient(
    theta: tuple, alpha: float, w: float, weight: float, kind: Distance, r: float
) -> tuple[Tensor, Tensor]:
    """Gradients of E L1 and E L2 by quadrature over (z, noise), the auxiliary score frozen at the student's."""
    sigma = math.sqrt(1 - alpha**2)
    m, s = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in theta)
    z, noise = torch.meshgrid(NODES, NODES, indexing="ij")
    x = (alpha * (m + s * z) + sigma * noise).reshape(-1, 1)
    both = (WEIGHTS[:, None] * WEIGHTS[None, :]).reshape(-1)
    auxiliary = noise_of(x, *theta, alpha, sigma)
    scale = torch.full_like(x, weight)
    terms = gsim_terms(auxiliary, teacher_noise(x, alpha, sigma, w), noise.reshape(-1, 1), scale, kind, r)
    first, second = (
        torch.stack(torch.autograd.grad((both * t).sum(), (m, s), retain_graph=True)) for t in terms
    )
    return first, second


@pytest.mark.parametrize("theta", [(0.3, 0.7), (-1.0, 0.4), (1.5, 1.2)])
@pytest.mark.parametrize("alpha", [0.25, 0.7, 0.95])
@pytest.mark.parametrize("w", [1.0, 1.2, 3.0])
@pytest.mark.parametrize(
    ("kind", "r"), [(Distance.PSEUDO_HUBER, 1.0), (Distance.PSEUDO_HUBER, 0.5), (Distance.SQUARED, 1.0)]
)
def test_gradient_is_that_of_the_divergence(theta, alpha, w, kind, r):
    weight = 1.7  # any weighting that depends on t alone
    first, second = gsim_gradient(theta, alpha, w, weight, kind, r)
    exact = divergence_gradient(theta, alpha, w, weight, kind, r)
    assert torch.allclose(first + second, exact, rtol=1e-5, atol=1e-6)
    # neither half is enough
    assert (first - exact).norm() > 1e-3 * exact.norm()
    assert (second - exact).norm() > 1e-3 * exact.norm()


@pytest.mark.parametrize("w", [1.0, 2.0])
def test_gradient_by_monte_carlo(w):
    """The same with random samples, r small as in the paper: agreement within four standard errors."""
    theta, alpha, kind, r = (0.3, 0.7), 0.6, Distance.PSEUDO_HUBER, 0.1
    sigma, n = 0.8, 400_000
    generator = torch.Generator().manual_seed(1)
    z, noise = torch.randn(2, n, 1, generator=generator, dtype=torch.float64)
    m = torch.full((n, 1), theta[0], dtype=torch.float64, requires_grad=True)
    s = torch.full((n, 1), theta[1], dtype=torch.float64, requires_grad=True)
    x = alpha * (m + s * z) + sigma * noise
    auxiliary = noise_of(x, *theta, alpha, sigma)
    terms = gsim_terms(auxiliary, teacher_noise(x, alpha, sigma, w), noise, torch.ones_like(x), kind, r)
    per_sample = torch.cat(torch.autograd.grad((terms[0] + terms[1]).sum(), (m, s)), dim=1)
    error = per_sample.std(dim=0) / math.sqrt(n)
    # the reference: a fine Riemann sum, since the bend at small r is sharp
    exact = fine_divergence_gradient(theta, alpha, w, r)
    assert ((per_sample.mean(dim=0) - exact).abs() < 4 * error).all()


def fine_divergence_gradient(theta: tuple, alpha: float, w: float, r: float) -> Tensor:
    sigma = math.sqrt(1 - alpha**2)
    m, s = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in theta)
    h = torch.linspace(-9, 9, 200_001, dtype=torch.float64)
    density = torch.exp(-h.square() / 2)
    x = alpha * m + torch.sqrt(alpha**2 * s**2 + sigma**2) * h
    y = -(noise_of(x, m, s, alpha, sigma) - teacher_noise(x, alpha, sigma, w))
    value = (density / density.sum() * distance(y[:, None], Distance.PSEUDO_HUBER, r)).sum()
    return torch.stack(torch.autograd.grad(value, (m, s)))


def test_squared_distance_integrates_to_the_kl_gradient():
    """KL(q_0 || p_0) = integral over -log alpha of E ||s_q - s_p||^2 (w = 1); half of that is d, hence the factor 2."""
    theta = (0.3, 0.7)
    m, s = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in theta)
    mp, sp = CLASS
    kl = torch.log(sp / s) + (s**2 + (m - mp) ** 2) / (2 * sp**2) - 0.5
    exact = torch.stack(torch.autograd.grad(kl, (m, s)))
    # nodes in u = -log alpha, dense near 0 where sigma vanishes: u = v^3
    nodes, weights = np.polynomial.legendre.leggauss(40)
    upper = 12 ** (1 / 3)
    total = torch.zeros(2, dtype=torch.float64)
    for node, share in zip(nodes, weights, strict=True):
        v = upper * (node + 1) / 2
        alpha = math.exp(-(v**3))
        step = share * upper / 2 * 3 * v**2
        sigma = math.sqrt(1 - alpha**2)
        first, second = gsim_gradient(theta, alpha, 1.0, 1 / sigma, Distance.SQUARED, 1.0)
        total += 2 * step * (first + second)
    assert torch.allclose(total, exact, rtol=1e-4)


def test_detaching_the_distance_gradient_would_be_wrong():
    """The equation needs gradients through d'(y): the same quadrature without them is off by far more than its error."""
    theta, alpha, w = (0.3, 0.7), 0.7, 1.2
    sigma = math.sqrt(1 - alpha**2)
    m, s = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in theta)
    z, noise = torch.meshgrid(NODES, NODES, indexing="ij")
    x = (alpha * (m + s * z) + sigma * noise).reshape(-1, 1)
    both = (WEIGHTS[:, None] * WEIGHTS[None, :]).reshape(-1)
    auxiliary = noise_of(x, *theta, alpha, sigma)
    y = -(auxiliary - teacher_noise(x, alpha, sigma, w))
    lag = -(auxiliary - noise.reshape(-1, 1))
    detached = -(distance_gradient(y, Distance.PSEUDO_HUBER, 1.0).detach() * lag).sum(-1)
    value = (both * (detached + distance(y, Distance.PSEUDO_HUBER, 1.0))).sum()
    wrong = torch.stack(torch.autograd.grad(value, (m, s)))
    exact = divergence_gradient(theta, alpha, w, 1.0, Distance.PSEUDO_HUBER, 1.0)
    assert (wrong - exact).norm() > 0.05 * exact.norm()


def test_exact_auxiliary_score_makes_the_first_term_zero_on_average():
    alpha, sigma, theta = 0.6, 0.8, (0.3, 0.7)
    z, noise = torch.meshgrid(NODES, NODES, indexing="ij")
    x = (alpha * (theta[0] + theta[1] * z) + sigma * noise).reshape(-1, 1)
    first, _ = gsim_terms(
        noise_of(x, *theta, alpha, sigma),
        teacher_noise(x, alpha, sigma, 1.2),
        noise.reshape(-1, 1),
        torch.ones_like(x),
        Distance.SQUARED,
    )
    both = (WEIGHTS[:, None] * WEIGHTS[None, :]).reshape(-1)
    assert abs((both * first).sum()) < 1e-12


def test_distance_matches_its_gradient_and_limits():
    y = torch.randn(7, 5, dtype=torch.float64, requires_grad=True)
    for kind in Distance:
        (gradient,) = torch.autograd.grad(distance(y, kind, 0.3).sum(), y)
        assert torch.allclose(gradient, distance_gradient(y, kind, 0.3))
    assert torch.allclose(
        distance(y, Distance.PSEUDO_HUBER, 1e-9), y.norm(dim=-1)
    )  # far from 0 it is the norm
    small = 1e-4 * y.detach()
    assert torch.allclose(
        distance(small, Distance.PSEUDO_HUBER, 1.0), distance(small, Distance.SQUARED), rtol=1e-6
    )


def test_guidance_is_in_the_scale_convention():
    conditional, unconditional = torch.tensor([3.0]), torch.tensor([1.0])
    assert guided(conditional, unconditional, 1.0) == conditional  # under (1+w, -w) this would be 5
    assert guided(conditional, unconditional, 0.0) == unconditional
    assert guided(conditional, unconditional, 2.0) == 5.0


def test_weight_turns_noise_differences_into_x0_differences():
    alpha, sigma = torch.tensor([0.6, 0.01]), torch.tensor([0.8, 0.99995])
    weight = x0_weight(alpha, sigma, limit=3.0)
    assert torch.allclose(weight, torch.tensor([0.8 / 0.6, 3.0]))


def test_registered_objectives_give_one_value_per_sample():
    """The paper's is L1 + L2, SIM's L1 alone."""
    names = ("auxiliary", "teacher", "noise", "x0", "chain", "second", "real")
    tensors = dict(zip(names, torch.randn(len(names), 7, 5, dtype=torch.float64), strict=True))
    scores = SimpleNamespace(**tensors, weight=torch.rand(7, 1, dtype=torch.float64))
    auxiliary, teacher, noise = scores.auxiliary, scores.teacher, scores.noise
    for kind in Distance:
        first, second = gsim_terms(auxiliary, teacher, noise, scores.weight, kind)
        found = {name: import_module(o.module).terms(scores, kind) for name, o in OBJECTIVES.items()}
        assert all(values.shape == (7,) for terms in found.values() for values in terms.values())
        assert found["gsim"].keys() == {"loss_l1", "loss_l2"}
        assert torch.equal(found["gsim"]["loss_l1"], first)
        assert torch.equal(found["gsim"]["loss_l2"], second)
        assert found["sim"].keys() == {"loss_l1"}
        assert torch.equal(found["sim"]["loss_l1"], first)
