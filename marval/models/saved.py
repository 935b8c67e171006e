"""Trained models as files: safetensors with the configuration beside, under the same name with .json."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import torch
from pydantic import ValidationError
from torch import nn

from marval.artifacts import load_weights, read_json, write_json, write_tensors
from marval.config import Config
from marval.errors import UserError
from marval.models.mar import MAR
from marval.models.settings import MARConfig, TokenizerConfig
from marval.models.tokenizer import Tokenizer, build_autoencoder

if TYPE_CHECKING:
    from diffusers import AutoencoderKL


def save_mar(model: nn.Module, path: Path) -> None:
    """Write `path` (.safetensors) and its .json; `model` is a MAR, which torch types as any module once it is averaged."""
    config: MARConfig = model.config  # type: ignore[assignment]
    write_tensors(path, dict(model.state_dict()))
    write_json(path.with_suffix(".json"), {"kind": "mar", "config": config.model_dump()})


def read_mar_config(path: Path) -> MARConfig:
    """The architecture of the model whose weights are, or would be, in `path`."""
    return _validated(MARConfig, path.with_suffix(".json"))


def load_mar(path: Path) -> MAR:
    """A model in evaluation mode from `path` (.safetensors)."""
    model = MAR(read_mar_config(path))
    load_weights(model, path)
    return model.eval()


def load_autoencoder(path: Path) -> tuple[TokenizerConfig, AutoencoderKL]:
    """The autoencoder from `path` (.safetensors), and its configuration."""
    config = read_tokenizer_config(path)
    autoencoder = build_autoencoder(config)
    load_weights(autoencoder, path)
    return config, autoencoder


def read_tokenizer_config(path: Path) -> TokenizerConfig:
    """The architecture of the autoencoder whose weights are, or would be, in `path`."""
    return _validated(TokenizerConfig, path.with_suffix(".json"))


def load_tokenizer(path: Path, normaliser: Path) -> Tokenizer:
    """The autoencoder from `path` (.safetensors) with the latents' channel statistics from `normaliser` (.json)."""
    config, autoencoder = load_autoencoder(path)
    statistics = read_json(normaliser)
    return Tokenizer(config, autoencoder, torch.tensor(statistics["mean"]), torch.tensor(statistics["std"]))


C = TypeVar("C", bound=Config)


def _validated(kind: type[C], path: Path) -> C:
    try:
        return kind.model_validate(read_json(path)["config"])
    except (ValidationError, KeyError, TypeError) as error:
        raise UserError(
            f"{path} is not a model's description: delete it and run `snakemake` to make it again"
        ) from error
