"""A tiny real training of every method, and the properties that its equations promise."""

import pytest
import torch
from pydantic import ValidationError

from marval.batches import Share
from marval.data.latents import LatentBatches
from marval.masking.law import MaskingLaw
from marval.masking.orders import first_masked, random_orders
from marval.methods.activation_checkpointing import image_by_image
from marval.methods.distillation import DistillMethod, StudentScores
from marval.methods.masked import MaskedBatch, draw_masked
from marval.methods.reinforcement import ReinforceMethod
from marval.methods.settings import (
    DistillTraining,
    DistillVariant,
    ReinforceTraining,
    ReinforceVariant,
    TeacherTraining,
    TokenizerTraining,
)
from marval.methods.teacher import TeacherMethod
from marval.methods.tokenizer import TokenizerMethod
from marval.models.mar import MAR
from marval.models.settings import MARConfig, TokenizerConfig
from marval.models.tokenizer import Tokenizer, build_autoencoder, tokens_from_moments
from marval.noise.schedule import NoiseSchedule
from marval.objectives.gsim import denoising_loss
from marval.training.checkpoints import CheckpointStore
from marval.training.loop import fit
from marval.training.optimisation import build_optimiser
from marval.training.settings import OptimiserConfig, Scale

ONE_STEP_T = 900
TOKENIZER = TokenizerConfig(
    image_channels=1, latent_channels=2, channels=[4, 8, 8], layers_per_block=1, norm_groups=4
)


@pytest.fixture
def data() -> LatentBatches:
    """Class k has latents near k - 1.5 with posterior deviation 0.1; 3x3 positions, 2 channels."""
    labels = torch.arange(40) % 4
    mean = (labels.float() - 1.5)[:, None, None, None].expand(-1, 2, 3, 3) + 0.2 * torch.randn(40, 2, 3, 3)
    return LatentBatches.of(torch.cat([mean, torch.full_like(mean, 0.1)], dim=1), labels)


def distill_training(**changes) -> DistillTraining:
    settings = {
        "masking": MaskingLaw(),
        "student": OptimiserConfig(lr=1e-3, betas=(0.0, 0.99), clip=1.0),
        "auxiliary": OptimiserConfig(lr=1e-3, betas=(0.0, 0.99), clip=1.0),
        "steps": 5, "batch": 16, "ema": 0.9, "t_low": 20, "t_high": 980, "weight_limit": 3.0,
    }  # fmt: skip
    return DistillTraining(**{**settings, **changes})


def run(method, steps, tmp_path):
    return fit(
        method, steps, seed=0, store=CheckpointStore(tmp_path), label="test", log_every=max(1, steps // 5)
    )


@pytest.mark.slow
def test_tokenizer_learns(tmp_path):
    config = TokenizerTraining(
        model=TOKENIZER, optimiser=OptimiserConfig(lr=5e-3, clip=1.0), steps=60, batch=16, ema=0.9,
        reconstruction_weight=10.0, kl_weight=1e-5, seed=0,
    )  # fmt: skip
    stripes = torch.sin(torch.arange(16) * torch.rand(32, 1, 1, 1) * 2).expand(32, 1, 16, 16)
    rows = run(TokenizerMethod(config, stripes), 60, tmp_path)
    assert rows[-1]["loss_reconstruction"] < 0.6 * rows[0]["loss_reconstruction"]


@pytest.mark.slow
def test_teacher_learns_the_classes(data, tiny_mar, tmp_path):
    config = TeacherTraining(
        model=tiny_mar.config, masking=MaskingLaw(), optimiser=OptimiserConfig(lr=3e-3, clip=3.0), steps=150, batch=32,
        diffusion_batch_mul=2, ema=0.9,
    )  # fmt: skip
    rows = run(TeacherMethod(config, data), 150, tmp_path)
    assert rows[-1]["loss_mse"] < 0.6 * rows[0]["loss_mse"]


def test_masked_batches_hide_what_they_say(data):
    batch = draw_masked(data, Share.whole(8), MaskingLaw())
    assert (batch.masked.sum(dim=1) == batch.masked_count).all()
    rows = batch.masked_rows(batch.tokens).view(8, batch.masked_count, 2)
    for image in range(8):
        assert torch.equal(rows[image], batch.tokens[image, batch.masked[image]])


@pytest.mark.parametrize("count", [1, 4, 9])
def test_conditions_of_masked_positions_are_those_of_all_positions(data, tiny_mar, count):
    """Values and gradients; 9: nothing is known, as in the first AR step."""
    torch.manual_seed(3)
    tokens = tokens_from_moments(data.moments(torch.arange(8)), torch.randn(8, 2, 3, 3))
    batch = MaskedBatch(tokens, data.labels[:8], first_masked(random_orders(torch.rand(8, 9)), count), count)
    embedding = tiny_mar.class_condition(batch.labels)
    expected = batch.masked_rows(tiny_mar(batch.tokens, batch.masked, embedding, count))
    found = batch.conditions(tiny_mar, embedding)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    named = [(name, p) for name, p in tiny_mar.named_parameters() if not name.startswith("head")]
    weights = torch.randn_like(expected)
    gradients = (
        torch.autograd.grad((z * weights).sum(), [p for _, p in named], retain_graph=True, allow_unused=True)
        for z in (found, expected)
    )
    for (name, parameter), one, other in zip(named, *gradients, strict=True):
        ours, theirs = (torch.zeros_like(parameter) if g is None else g for g in (one, other))
        torch.testing.assert_close(
            ours, theirs, rtol=1e-4, atol=1e-4, msg=lambda words, n=name: f"{n}: {words}"
        )


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


def test_the_encoder_is_frozen_whole_and_nothing_else(data, tiny_mar):
    """What is left to train is what a gradient through the decoder alone reaches."""
    batch = draw_masked(data, Share.whole(8), MaskingLaw())
    encoded = batch.encode(tiny_mar, tiny_mar.class_condition(batch.labels)).detach()
    batch.decode(tiny_mar, encoded).sum().backward()
    reached = {name for name, p in tiny_mar.named_parameters() if p.grad is not None}
    tiny_mar.freeze_encoder()
    trained = {name for name, p in tiny_mar.named_parameters() if p.requires_grad}
    assert {name for name in trained if not name.startswith("head.")} == reached


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


class Brightness:
    """A reward whose best image is known: all white."""

    def score(self, images, labels):
        return images.mean(dim=(1, 2, 3))


def reinforced(variant: ReinforceVariant, steps: int, tmp_path, distilled: bool = False):
    """Rows of a short RL run on random networks, and the method."""
    config = MARConfig(
        side=4, channels=2, classes=4, width=16, encoder_blocks=1, decoder_blocks=1, heads=2, buffer_tokens=2,
        head={"width": 24, "blocks": 1},
    )  # fmt: skip
    tokenizer = Tokenizer(TOKENIZER, build_autoencoder(TOKENIZER), torch.zeros(2), torch.ones(2))
    labels = torch.arange(32) % 4
    data = LatentBatches.of(
        torch.cat([torch.randn(32, 2, 4, 4), torch.full((32, 2, 4, 4), 0.1)], dim=1), labels
    )
    training = ReinforceTraining(optimiser=OptimiserConfig(lr=1e-2, clip=1.0), batch=8, ar_steps=4)
    student = MAR(config)
    distillation = None
    if distilled:
        variant_of_start = DistillVariant(guidance=1.2)
        distillation = DistillMethod(
            distill_training(), variant_of_start, MAR(config), data, ONE_STEP_T, student
        )
    method = ReinforceMethod(training, variant, student, tokenizer, Brightness(), ONE_STEP_T, distillation)
    return run(method, steps, tmp_path), method


@pytest.mark.slow
def test_reward_training_raises_the_reward_and_leaves_the_decoder_alone(tmp_path):
    rows, method = reinforced(ReinforceVariant(start="marval", steps=40), 40, tmp_path)
    assert rows[-1]["loss_reward"] < rows[0]["loss_reward"] - 0.01
    torch.manual_seed(0)
    assert all(p.grad is None for p in method.decode.__self__.parameters())


def test_the_decoder_holds_one_image_at_a_time():
    # in double precision: one image alone takes other kernels than three, and their rounding depends on the processor
    tokenizer = Tokenizer(TOKENIZER, build_autoencoder(TOKENIZER), torch.zeros(2), torch.ones(2)).double()
    seen: list[int] = []

    def decode(tokens):
        seen.append(len(tokens))
        return tokenizer.decode(tokens)

    gradients = []
    for decoder in (decode, image_by_image(decode)):
        tokens = torch.randn(3, 16, 2, generator=torch.Generator().manual_seed(0)).double().requires_grad_()
        decoder(tokens).square().sum().backward()
        gradients.append(tokens.grad)
    assert seen == [3] + [1] * 6  # at first as a whole; then each image forward, and again on the way back
    assert torch.allclose(*gradients, rtol=1e-9, atol=1e-9)


@pytest.mark.slow
def test_proximity_keeps_the_weights_near_where_they_started(tmp_path):
    moved = {}
    for weight in (0.0, 1000.0):
        torch.manual_seed(0)
        variant = ReinforceVariant(start="marval", steps=10, proximity_weight=weight)
        _, method = reinforced(variant, 0, tmp_path / f"{weight}")
        before = [p.detach().clone() for p in method.student.parameters()]
        run(method, 10, tmp_path / f"{weight}")
        apart = [(a - b).square().sum() for a, b in zip(method.student.parameters(), before, strict=True)]
        moved[weight] = torch.stack(apart).sum()
    assert moved[1000.0] < 0.7 * moved[0.0]


def test_reward_may_be_asked_about_unfinished_images(tmp_path):
    """After the first of four AR steps most tokens are still masked, and the reward differs from the whole image's."""
    whole, _ = reinforced(ReinforceVariant(start="marval", steps=1), 1, tmp_path / "a")
    torch.manual_seed(0)
    half, _ = reinforced(ReinforceVariant(start="marval", steps=1, rewarded_after=1), 1, tmp_path / "b")
    assert half[0]["loss_reward"] != whole[0]["loss_reward"]


def test_distillation_beside_the_reward_trains_the_auxiliary_network_and_adds_the_distillation_loss(tmp_path):
    variant = ReinforceVariant(start="marval", steps=3, distillation_weight=2.0)
    rows, method = reinforced(variant, 3, tmp_path, distilled=True)
    assert {"loss_reward", "loss_l1_weighted", "loss_l2_weighted", "loss_auxiliary"} <= rows[0].keys()
    assert method.distillation is not None
    assert method.distillation.student is method.student
    batch = method.draw(Share.whole(8))
    plain = method.distillation.student_loss(batch.distillation)["loss_l2"]
    assert torch.equal(method.loss(batch)["loss_l2_weighted"], 2.0 * plain)
