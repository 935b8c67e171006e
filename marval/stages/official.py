"""Stage `official`: the published weights of the tokenizer or of the teacher, in place of training them.

They are read strictly into the architecture that the preset states, and left where the training stage would leave its own.
"""

from __future__ import annotations

from pathlib import Path

from marval.artifacts import read_json, write_json, write_tensors
from marval.models.ldm import read_ldm
from marval.models.official import read_official
from marval.models.saved import save_mar
from marval.pipeline.preset import TEACHER, OfficialTokenizer
from marval.pipeline.run import Context
from marval.weights import path_of, require, sha256_of


def run(context: Context, variant: str) -> None:
    """Variant `tokenizer` or `teacher`: write the weights, and the architecture with their origin."""
    files, preset = context.files, context.preset
    if variant == TEACHER:
        name, path = (
            str(preset.teacher.official),
            context.output(files.model(TEACHER, preset.first_teacher)),
        )
        require([name])
        save_mar(read_official(path_of(name), preset.teacher.model), path)
    else:
        name, path = preset.official_tokenizer.official, context.output(files.tokenizer)
        require([name])
        _save_tokenizer(path_of(name), preset.official_tokenizer, path)
    description = path.with_suffix(".json")
    write_json(description, {**read_json(description), "official": {"name": name, "sha256": sha256_of(name)}})


def _save_tokenizer(source: Path, section: OfficialTokenizer, path: Path) -> None:
    write_tensors(path, dict(read_ldm(source, section.model).state_dict()))
    write_json(path.with_suffix(".json"), {"kind": "tokenizer", "config": section.model.model_dump()})
