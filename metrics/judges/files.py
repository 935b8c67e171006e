"""Judges from settings and from files."""

from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from metrics.errors import UserError, reason
from metrics.files import read_json
from metrics.judges.prompts import TEMPLATE
from metrics.judges.registry import miniature
from metrics.judges.settings import JudgeConfig


def build(kind: str, config: JudgeConfig, class_names: list[str], template: str = TEMPLATE) -> Any:
    """An untrained Judge of the registry; its initial weights depend on config.seed alone, not on the global
    generator.
    """
    network = miniature(kind).implementation()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        return network(config, class_names, template)


def load(path: str | Path) -> Any:
    """Read PATH.json and the weights that belong to it (PATH with or without suffix): in evaluation mode, weights frozen.

    A miniature judge is a Judge with its weights in PATH.safetensors; a published one has the same methods for evaluation.
    Gradients still flow to the images, which is what reward training needs.
    """
    stem = Path(path)
    if stem.suffix in (".json", ".safetensors"):
        stem = stem.with_suffix("")
    file = stem.with_name(stem.name + ".json")
    if not file.is_file():
        raise UserError(
            f"{file}: no such file: give the path of a judge's .json (the judges stage writes them)"
        )
    description = _description(file)
    if description["kind"] == "published":
        from metrics.published.folder import open_description

        return open_description(file, description)
    try:
        config_class = miniature(description["kind"]).config
        assert config_class is not None
        config = config_class.model_validate(description["config"])
        judge = build(description["kind"], config, description["class_names"], description["template"])
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise UserError(f"{file}: config.{key}: {first['msg'].lower()}: train the judge again") from error
    except Exception as error:  # a description may hold anything
        raise UserError(
            f"{file}: not a judge's description ({reason(error)}): train the judge again"
        ) from error
    judge.read_weights(stem, description)
    return judge.eval().requires_grad_(False)


def _description(file: Path) -> dict[str, Any]:
    description = read_json(file, "run the stage that makes the judges again")
    if not isinstance(description, dict) or "kind" not in description:
        raise UserError(f"{file}: not a judge's description: run the stage that makes the judges again")
    return description
