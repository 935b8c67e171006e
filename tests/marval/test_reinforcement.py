"""Reward fine-tuning on tiny networks, with a reward whose best image is known."""

import pytest
import torch
from short_trainings import ONE_STEP_T, TOKENIZER, Brightness, distill_training, run

from marval.batches import Share
from marval.data.latents import LatentBatches
from marval.methods.activation_checkpointing import image_by_image
from marval.methods.distillation import DistillMethod
from marval.methods.reinforcement import ReinforceMethod
from marval.methods.settings import DistillVariant, ReinforceTraining, ReinforceVariant
from marval.models.mar import MAR
from marval.models.settings import MARConfig
from marval.models.tokenizer import Tokenizer, build_autoencoder
from marval.training.settings import OptimiserConfig


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
