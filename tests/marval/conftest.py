"""The recorded numbers of the public MAR implementation (tests/fixtures/README.md), and small models."""

import numpy as np
import pytest
import torch

from marval.models.mar import MAR, MARConfig
from marval.models.official import from_official


@pytest.fixture(scope="session")
def recorded(root) -> dict[str, torch.Tensor]:
    with np.load(root / "tests/fixtures/mar_tiny.npz") as archive:
        return {name: torch.from_numpy(archive[name]) for name in archive.files}


@pytest.fixture(scope="session")
def official_mar(recorded) -> MAR:
    """Our MAR with the recorded weights."""
    config = MARConfig(
        side=6, channels=4, classes=10, width=32, encoder_blocks=2, decoder_blocks=2, heads=4, buffer_tokens=8,
        head={"width": 48, "blocks": 2},
    )  # fmt: skip
    model = MAR(config)
    prefix = "weights/"
    state = {name.removeprefix(prefix): value for name, value in recorded.items() if name.startswith(prefix)}
    model.load_state_dict(from_official(state), strict=True)
    return model.eval().requires_grad_(False)


@pytest.fixture
def tiny_mar() -> MAR:
    """A small MAR with random weights, the head's zero-initialised layers included."""
    config = MARConfig(
        side=3, channels=2, classes=4, width=16, encoder_blocks=1, decoder_blocks=1, heads=2, buffer_tokens=2,
        dropout=0.0, head={"width": 24, "blocks": 2},
    )  # fmt: skip
    model = MAR(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model.eval()
