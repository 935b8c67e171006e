"""The KL autoencoder's published layout (LDM's; KL-16's `kl16.ckpt` is `{'model': state}`) <-> diffusers' `AutoencoderKL`.

Only names differ, the decoder's levels are counted from the other end, and attention's projections are 1x1 convolutions there
and linear maps here: `(C, C, 1, 1)` <-> `(C, C)`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from marval.models.checkpoint import match, read_checkpoint, state_in, write_checkpoint
from marval.models.settings import TokenizerConfig
from marval.models.tokenizer import build_autoencoder

if TYPE_CHECKING:
    from diffusers import AutoencoderKL

RENAMED = (  # diffusers -> LDM, applied in this order
    (r"down_blocks\.(\d+)\.resnets\.", r"down.\1.block."),
    (r"down_blocks\.(\d+)\.attentions\.", r"down.\1.attn."),
    (r"down_blocks\.(\d+)\.downsamplers\.0\.", r"down.\1.downsample."),
    (r"up_blocks\.(\d+)\.resnets\.", r"up.\1.block."),
    (r"up_blocks\.(\d+)\.upsamplers\.0\.", r"up.\1.upsample."),
    (r"mid_block\.resnets\.0\.", "mid.block_1."),
    (r"mid_block\.resnets\.1\.", "mid.block_2."),
    (r"mid_block\.attentions\.0\.", "mid.attn_1."),
    (r"\.group_norm\.", ".norm."),
    (r"\.to_([qkv])\.", r".\1."),
    (r"\.to_out\.0\.", ".proj_out."),
    (r"\.conv_shortcut\.", ".nin_shortcut."),
    (r"\.conv_norm_out\.", ".norm_out."),
)
PROJECTION = re.compile(r"attn[._]\d+\.(q|k|v|proj_out)\.weight$")


def read_ldm(path: Path, config: TokenizerConfig) -> AutoencoderKL:
    """The autoencoder of a published file, in evaluation mode; UserError as for `official.read_official`."""
    state = state_in(path, read_checkpoint(path), "model")
    autoencoder = build_autoencoder(config)
    match(path, to_ldm(autoencoder.state_dict(), config), state)
    autoencoder.load_state_dict(from_ldm(state, autoencoder.state_dict(), config), strict=True)
    return autoencoder.eval()


def write_ldm(path: Path, autoencoder: AutoencoderKL, config: TokenizerConfig) -> None:
    """Write the published layout."""
    write_checkpoint(path, {"model": to_ldm(autoencoder.state_dict(), config)})


def to_ldm(state: Mapping[str, Tensor], config: TokenizerConfig) -> dict[str, Tensor]:
    """A diffusers state dict under LDM's names and shapes."""
    renamed = {ldm_name(name, len(config.channels)): value for name, value in state.items()}
    return {
        name: value[:, :, None, None] if PROJECTION.search(name) else value for name, value in renamed.items()
    }


def from_ldm(
    state: Mapping[str, Tensor], like: Mapping[str, Tensor], config: TokenizerConfig
) -> dict[str, Tensor]:
    """LDM's state dict under the names and shapes of `like`, a diffusers state dict of the same architecture."""
    levels = len(config.channels)
    return {name: state[ldm_name(name, levels)].view(value.shape) for name, value in like.items()}


def ldm_name(name: str, levels: int) -> str:
    """LDM's name of a diffusers parameter; `levels` of resolution."""
    for pattern, replacement in RENAMED:
        name = re.sub(pattern, replacement, name)
    return re.sub(r"^decoder\.up\.(\d+)", lambda m: f"decoder.up.{levels - 1 - int(m[1])}", name)
