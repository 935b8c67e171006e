"""Shared by all tests: one thread, deterministic kernels, SIGINT as in a terminal, and the root of the repository."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session", autouse=True)
def _reproducible_arithmetic() -> None:
    torch.set_num_threads(1)
    torch.set_deterministic_debug_mode("error")


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> Iterator[None]:
    """Children inherit an ignored SIGINT, which the tests have under nohup or as a background job: none would end by it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT
