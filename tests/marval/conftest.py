"""The recorded numbers of the public MAR implementation (tests/fixtures/README.md), small models and small data."""

import shutil

import numpy as np
import pytest
import torch

from marval.data.latents import LatentBatches
from marval.masking.orders import first_masked
from marval.masking.schedule import unmasking_schedule
from marval.models.mar import MAR
from marval.models.official import from_official
from marval.models.settings import MARConfig
from marval.sampling.draws import Draws


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


@pytest.fixture(scope="session")
def recorded_draws(recorded) -> Draws:
    """The noise of the recorded guided images (6 AR steps, 25 diffusion steps), drawn by AR step, sorted by token."""
    chain, orders = 25, recorded["orders"]
    noises = [recorded[name] for name in sorted(n for n in recorded if n.startswith("image/noise/"))]
    start, steps = torch.zeros(3, 36, 4), torch.zeros(3, chain, 36, 4)
    before = torch.ones(3, 36, dtype=torch.bool)
    for k, after in enumerate(unmasking_schedule(36, 6)):
        mask = first_masked(orders, after)
        revealed = before & ~mask
        drawn = noises[k * (chain + 1) : (k + 1) * (chain + 1)]
        start[revealed] = drawn[0][: revealed.sum()]
        for i in range(chain):
            steps[:, i][revealed] = drawn[1 + i][: revealed.sum()]
        before = mask
    return Draws(orders, start, steps)


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


@pytest.fixture
def data() -> LatentBatches:
    """Class k has latents near k - 1.5 with posterior deviation 0.1; 3x3 positions, 2 channels."""
    labels = torch.arange(40) % 4
    mean = (labels.float() - 1.5)[:, None, None, None].expand(-1, 2, 3, 3) + 0.2 * torch.randn(40, 2, 3, 3)
    return LatentBatches.of(torch.cat([mean, torch.full_like(mean, 0.1)], dim=1), labels)


@pytest.fixture
def folder(root, tmp_path, monkeypatch):
    """A copy of the settings to spoil."""
    shutil.copytree(root / "workflow/presets", tmp_path / "workflow/presets")
    (tmp_path / "params.yaml").write_text("presets: [smoke]\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path
