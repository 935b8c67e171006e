"""Stage `official`: the published weights of the tokenizer or of the teacher, in place of training them.

They are read strictly into the architecture that the preset states, and left where the training stage would leave its own.
"""

from __future__ import annotations

from pathlib import Path

from marval.artifacts import read_json, write_json, write_tensors
from marval.models.ldm import read_ldm
from marval.models.official import read_official
from marval.stages.context import Context
from marval.stages.models import save_mar
from marval.stages.preset import TEACHER, OfficialTokenizer
from marval.weights import path_of, require, sha256_of


def run(context: Context) -> None:
    """Variant `tokenizer` or `teacher`: write the weights, and the architecture with their origin."""
    weights, description = context.output(".safetensors"), context.output(".json")
    name = (
        _teacher(context, weights)
        if context.variant == TEACHER
        else _tokenizer(context, weights, description)
    )
    origin = {"name": name, "sha256": sha256_of(name)}
    write_json(description, {**read_json(description), "official": origin})


def _teacher(context: Context, weights: Path) -> str:
    section = context.preset.teacher
    assert section.official is not None
    require([section.official])
    save_mar(read_official(path_of(section.official), section.model), weights)
    return section.official


def _tokenizer(context: Context, weights: Path, description: Path) -> str:
    section = context.preset.tokenizer
    assert isinstance(section, OfficialTokenizer)
    require([section.official])
    autoencoder = read_ldm(path_of(section.official), section.model)
    write_tensors(weights, dict(autoencoder.state_dict()))
    write_json(description, {"kind": "tokenizer", "config": section.model.model_dump()})
    return section.official
