"""Saving and loading of trained models as the stages keep them: safetensors with the configuration beside."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import torch
from pydantic import ValidationError
from torch import nn

from marval.artifacts import load_weights, read_json, write_json, write_tensors
from marval.config import Config
from marval.errors import UserError
from marval.models.mar import MAR, MARConfig
from marval.models.tokenizer import Tokenizer, TokenizerConfig, build_autoencoder

if TYPE_CHECKING:
    from diffusers import AutoencoderKL


def save_mar(model: nn.Module, path: Path) -> None:
    """Write `path` (.safetensors) and its .json."""
    assert isinstance(model, MAR)  # an averaged copy is typed as any module
    write_tensors(path, dict(model.state_dict()))
    write_json(path.with_suffix(".json"), {"kind": "mar", "config": model.config.model_dump()})


def read_mar_config(path: Path) -> MARConfig:
    """The architecture from a model's .json."""
    return _validated(MARConfig, path)


def load_mar(path: Path) -> MAR:
    """A model in evaluation mode from `path` (.safetensors)."""
    model = MAR(read_mar_config(path.with_suffix(".json")))
    load_weights(model, path)
    return model.eval()


def load_autoencoder(results: Path) -> tuple[TokenizerConfig, AutoencoderKL]:
    """The trained autoencoder and its configuration."""
    path = results / "models/tokenizer.safetensors"
    config = read_tokenizer_config(path.with_suffix(".json"))
    autoencoder = build_autoencoder(config)
    load_weights(autoencoder, path)
    return config, autoencoder


def read_tokenizer_config(path: Path) -> TokenizerConfig:
    """The architecture from the tokenizer's .json."""
    return _validated(TokenizerConfig, path)


def load_tokenizer(results: Path) -> Tokenizer:
    """The trained autoencoder with the latents' channel statistics."""
    config, autoencoder = load_autoencoder(results)
    statistics = read_json(results / "latents/normaliser.json")
    return Tokenizer(config, autoencoder, torch.tensor(statistics["mean"]), torch.tensor(statistics["std"]))


C = TypeVar("C", bound=Config)


def _validated(kind: type[C], path: Path) -> C:
    try:
        return kind.model_validate(read_json(path)["config"])
    except (ValidationError, KeyError, TypeError) as error:
        raise UserError(
            f"{path} is not a model's description: delete it and run `snakemake` to make it again"
        ) from error
