"""Shared by all tests: one thread, deterministic kernels, and the root of the repository."""

from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session", autouse=True)
def _reproducible_arithmetic() -> None:
    torch.set_num_threads(1)
    torch.set_deterministic_debug_mode("error")


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT
