"""Distillation on a tiny network: who is trained, what is computed once, and what the equations promise."""

import pytest
import torch
from pydantic import ValidationError
from short_trainings import ONE_STEP_T, distill_training, run

from marval.batches import Share
from marval.methods.distillation import DistillMethod, StudentScores
from marval.methods.settings import DistillVariant
from marval.noise.schedule import NoiseSchedule
from marval.objectives.gsim import denoising_loss
from marval.training.checkpoints import CheckpointStore
from marval.training.loop import fit
from marval.training.optimisation import build_optimiser
from marval.training.settings import OptimiserConfig, Scale


@pytest.mark.parametrize(
    "variant",
    [
        {},
        {"distance": "squared"},
        {"objective": "sim"},
        {"objective": "dmd"},
        {"objective": "regression"},
        {"objective": "energy"},
        {"auxiliary": "decoder"},
        {"auxiliary": "whole"},
        {"auxiliary_context": "student"},
        {"trained": "head"},
    ],
    ids=str,
)
def test_distillation_trains_the_student_and_nothing_else(data, tiny_mar, tmp_path, variant):
    method = DistillMethod(
        distill_training(),
        DistillVariant(guidance=1.2, **variant),
        tiny_mar,
        data,
        ONE_STEP_T,
        chain_start=ONE_STEP_T,
    )
    teacher = [p.clone() for p in method.teacher.parameters()]
    student = {n: p.clone() for n, p in method.student.named_parameters()}
    rows = run(method, 5, tmp_path)
    assert ("loss_l2" in rows[0]) == (variant.get("objective", "gsim") == "gsim")
    assert all(torch.equal(a, b) for a, b in zip(teacher, method.teacher.parameters(), strict=True))
    moved = {n for n, p in method.student.named_parameters() if not torch.equal(p, student[n])}
    assert any(n.startswith("head.") for n in moved)
    assert any(not n.startswith("head.") for n in moved) == (variant.get("trained", "whole") == "whole")


def test_objectives_without_an_auxiliary_network_leave_it_alone(data, tiny_mar, tmp_path):
    for name, expected in (("dmd", 2), ("energy", 0), ("regression", 0)):
        training = distill_training(auxiliary_updates=2)
        variant = DistillVariant(guidance=1.2, objective=name)
        method = DistillMethod(training, variant, tiny_mar, data, ONE_STEP_T, chain_start=ONE_STEP_T)
        assert sum(update.name == "auxiliary" for update in method.updates) == expected
        assert ("loss_auxiliary" in run(method, 2, tmp_path / name)[0]) == (expected > 0)


def scores_of(data, tiny_mar, chain_start: int = ONE_STEP_T) -> StudentScores:
    torch.manual_seed(5)
    variant = DistillVariant(guidance=1.2)
    method = DistillMethod(distill_training(), variant, tiny_mar, data, ONE_STEP_T, chain_start=chain_start)
    return StudentScores(method, method.draw(Share.whole(16)))


def test_a_second_sample_has_the_same_condition_and_other_noise(data, tiny_mar):
    scores = scores_of(data, tiny_mar)
    samples, method = scores.batch.samples, scores.method
    assert torch.equal(method.one_step(samples.z, scores.batch.start), scores.x0)
    assert torch.equal(method.one_step(samples.z, scores.batch.second), scores.second)
    assert not torch.isclose(scores.x0, scores.second).any()
    (gradient,) = torch.autograd.grad(scores.second.sum(), method.student.class_emb.weight)
    assert gradient.abs().sum() > 0


def test_the_chain_starts_from_the_students_noise_and_is_guided(data, tiny_mar):
    """An undistilled student is the first step of a chain from its own noise level; the chain depends on guidance and on where it
    starts, and has no gradient."""
    scores = scores_of(data, tiny_mar)
    assert not scores.chain.requires_grad
    assert torch.equal(scores.chain, scores_of(data, tiny_mar).chain)
    assert not torch.allclose(scores.chain, scores_of(data, tiny_mar, chain_start=950).chain, rtol=1e-2)
    scores.batch.teacher[1].add_(1.0)
    assert not torch.allclose(StudentScores(scores.method, scores.batch).chain, scores.chain)
    apart = (scores.chain - scores.x0).norm() / scores.x0.norm()
    assert 0 < apart < 1


def test_real_tokens_are_those_that_were_masked(data, tiny_mar):
    scores = scores_of(data, tiny_mar)
    images = scores.batch.images
    assert torch.equal(scores.real, images.tokens[images.masked])


@pytest.mark.parametrize("auxiliary", ["decoder", "whole"])
def test_an_auxiliary_network_learns_its_own_conditions(data, tiny_mar, tmp_path, auxiliary):
    """A decoder stands behind the teacher's encoder, which is evaluated for it no more often than for the teacher."""
    variant = DistillVariant(guidance=1.2, auxiliary=auxiliary)
    method = DistillMethod(distill_training(), variant, tiny_mar, data, ONE_STEP_T)
    before = {name: p.clone() for name, p in method.auxiliary.named_parameters()}
    passes = []
    for network in (method.teacher, method.auxiliary):
        network.encoder_norm.register_forward_hook(lambda *_, name=network: passes.append(name))
    run(method, 3, tmp_path)
    assert passes.count(method.teacher) == 3 * 2
    assert passes.count(method.auxiliary) == (3 * 2 if auxiliary == "whole" else 0)
    moved = {n for n, p in method.auxiliary.named_parameters() if not torch.equal(p, before[n])}
    assert any(name.startswith("encoder_blocks") for name in moved) == (auxiliary == "whole")
    assert any(name.startswith("decoder_blocks") for name in moved)
    assert any(name.startswith("head.") for name in moved)
    with pytest.raises(ValidationError, match=f"auxiliary is {auxiliary}, .* leave out auxiliary_context"):
        DistillVariant(guidance=1.2, auxiliary=auxiliary, auxiliary_context="student")


def test_without_guidance_the_class_free_branch_does_not_matter(data, tiny_mar):
    """w = 1: the teacher's score is the conditional one; w = 1.2 depends on the other branch."""
    values = {}
    for w in (1.0, 1.2):
        for shift in (0.0, 1.0):
            method = DistillMethod(distill_training(), DistillVariant(guidance=w), tiny_mar, data, ONE_STEP_T)
            torch.manual_seed(5)
            with torch.no_grad():
                method.auxiliary.final_layer.linear.bias.add_(0.1)  # so that the scores differ
            batch = method.draw(Share.whole(16))
            batch.teacher[1].add_(shift)
            values[w, shift] = method.student_loss(batch)["loss_l2"].mean().item()
    assert values[1.0, 0.0] == pytest.approx(values[1.0, 1.0], rel=1e-5)
    assert values[1.2, 0.0] != pytest.approx(values[1.2, 1.0], rel=1e-3)


@pytest.mark.parametrize("micro_batch", [None, 4])
def test_what_both_updates_need_is_computed_once(data, tiny_mar, tmp_path, micro_batch):
    """Of each piece the teacher's two passes; the student's again, with its graph, where there are several pieces."""
    scale = Scale(micro_batch=micro_batch)
    method = DistillMethod(distill_training(), DistillVariant(guidance=1.2), tiny_mar, data, ONE_STEP_T)
    passes = {"teacher": [], "student": []}
    for name, seen in passes.items():
        norm = getattr(method, name).decoder_norm  # the last module that a pass goes through
        norm.register_forward_hook(lambda *args, seen=seen: seen.append(args[2].requires_grad))
    fit(method, 1, 0, CheckpointStore(tmp_path), "test", log_every=1, scale=scale)
    pieces = 1 if micro_batch is None else method.batch // micro_batch
    assert passes["teacher"] == [False] * 2 * pieces
    assert passes["student"] == ([True] if pieces == 1 else [False] * pieces + [True] * pieces)


@pytest.mark.slow
def test_auxiliary_network_converges_to_a_known_score(tiny_mar):
    """Trained on samples N(0.5, 0.3^2), the head's noise prediction becomes the exact one of that Gaussian."""
    schedule = NoiseSchedule.full()
    head, mean, std = tiny_mar.head, 0.5, 0.3
    optimiser = build_optimiser(head, OptimiserConfig(lr=3e-3, betas=(0.0, 0.99), clip=1.0))
    z = torch.zeros(1, tiny_mar.config.width)

    def exact(x_t, t):
        alpha, sigma = schedule.alpha[t][:, None], schedule.sigma[t][:, None]
        return sigma * (x_t - alpha * mean) / (alpha**2 * std**2 + sigma**2)

    def draw(n):
        t = torch.randint(20, 980, (n,))
        noise = torch.randn(n, 2)
        x0 = mean + std * torch.randn(n, 2)
        return t, noise, schedule.alpha[t][:, None] * x0 + schedule.sigma[t][:, None] * noise

    def error():
        with torch.no_grad():
            t, _, x_t = draw(4000)
            return (head.noise(x_t, t, z.expand(4000, -1)) - exact(x_t, t)).square().mean().item()

    before = error()
    for _ in range(400):
        t, noise, x_t = draw(256)
        loss = denoising_loss(head.noise(x_t, t, z.expand(256, -1)), noise).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert error() < 0.02 * before
    assert error() < 0.02  # of a unit-variance quantity
