"""The tokenizer and the teacher learn what they are trained for."""

import pytest
import torch
from short_trainings import TOKENIZER, run

from marval.masking.law import MaskingLaw
from marval.methods.settings import TeacherTraining, TokenizerTraining
from marval.methods.teacher import TeacherMethod
from marval.methods.tokenizer import TokenizerMethod
from marval.training.settings import OptimiserConfig


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
