"""MAR's published checkpoints <-> our MAR. The names differ in one prefix; everything else is the same by design.

`checkpoint-last.pth` is `{'model', 'model_ema', 'optimizer', 'epoch', 'scaler', 'args'}` as MAR's training script writes it; the
published files of MAR-B, -L and -H are reduced to the first two. Evaluation uses `model_ema`.
"""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from marval.models.checkpoint import match, read_checkpoint, state_in, write_checkpoint
from marval.models.mar import MAR
from marval.models.settings import MARConfig

OFFICIAL_HEAD = "diffloss.net."
OUR_HEAD = "head."


def from_official(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A MAR state dict under our names."""
    return {_swap_prefix(name, OFFICIAL_HEAD, OUR_HEAD): value for name, value in state.items()}


def to_official(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Our state dict under MAR's names."""
    return {_swap_prefix(name, OUR_HEAD, OFFICIAL_HEAD): value for name, value in state.items()}


def read_official(path: Path, config: MARConfig) -> MAR:
    """The averaged weights of a published checkpoint, in evaluation mode.

    UserError names the first missing, unexpected or misshapen entry, and refuses a file that would run code.
    """
    state = state_in(path, read_checkpoint(path), "model_ema")
    model = MAR(config)
    match(path, to_official(model.state_dict()), state)
    model.load_state_dict(from_official(state), strict=True)
    return model.eval()


def write_official(path: Path, model: MAR, average: MAR) -> None:
    """Write weights and averaged weights as the published files hold them, for MAR's own evaluation script."""
    states = {"model": model, "model_ema": average}
    write_checkpoint(path, {key: to_official(dict(net.state_dict())) for key, net in states.items()})


def _swap_prefix(name: str, old: str, new: str) -> str:
    return new + name.removeprefix(old) if name.startswith(old) else name
