"""From the active presets to the lists that `dvc.yaml` multiplies its stages out over: `workflow/runs.yaml`.

`params.yaml` names the active presets; each preset says which variants and seeds it has. DVC can iterate over lists but not
follow a name into another file, so the lists are written out here. The Snakefile refreshes them when they are stale; under bare
`dvc repro` the stage `runs` refuses stale ones. Both files say what to run and nothing about how: a record does not call code
with another choice of presets changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from marval.artifacts import replacing, write_json
from marval.errors import UserError, shown
from marval.pipeline.files import REAL, inpainted
from marval.pipeline.preset import (
    TEACHER,
    AnyPreset,
    LatencyPreset,
    OfficialTokenizer,
    Preset,
    load_preset,
)
from marval.pipeline.reading import read_strange_yaml
from marval.weights import path_of
from metrics.judges.section import weights_of

PARAMS = Path("params.yaml")
PRESETS_KEY = "presets"  # the only one of params.yaml
RUNS = Path("workflow/runs.yaml")
HEADER = "# Written by `python -m marval runs` from params.yaml and the presets; edit those instead.\n"

LISTS = {
    "all_presets": "whatever they consist of",
    "reproductions": "presets with data",
    "latencies": "presets that only time",
    "tokenizers": "tokenizers to train",
    "official": "published weights in place of a tokenizer or a teacher",
    "miniature_judges": "presets that train their judges",
    "published_judges": "presets that take published ones",
    "teachers": "teachers to train, by seed",
    "students": "distilled models, by seed",
    "reinforced": "fine-tuned models, by seed",
    "variants": "ways of making images",
    "inpainted": "variants that fill in parts of held-out images",
    "scored": "all of these, and held-out real images",
}
KEY_PARTS = ("preset", "variant", "seed")

Item = dict[str, Any]


def active_presets() -> list[str]:
    """The list `presets` of params.yaml."""
    content = _params()
    names = content.get(PRESETS_KEY) if isinstance(content, dict) else None
    if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
        raise UserError(f"{PARAMS}: presets must be a list of names, such as [digits], not {shown(names)}")
    if others := sorted(str(key) for key in content if key != PRESETS_KEY):
        # where a setting lands that is given to `dvc exp run -S` without a file
        raise UserError(
            f"{PARAMS} has {shown(others[0])} beside {PRESETS_KEY}, which would change nothing: settings are in presets, "
            "for an experiment `dvc exp run -S workflow/presets/NAME.yaml:SECTION.KEY=VALUE`"
        )
    return names


def _params() -> Any:
    try:
        return read_strange_yaml(PARAMS)
    except UserError as error:
        raise UserError(f"{error}: mend it, or take it from git (`git checkout {PARAMS}`)") from error


def activate(names: list[str]) -> None:
    """Make `names` the active presets, in params.yaml and in the lists; the file's comments stay."""
    for name in names:
        load_preset(name)
    _params()  # one that cannot be read is named
    lines = PARAMS.read_text().splitlines()
    start = next((i for i, line in enumerate(lines) if line.startswith("presets:")), len(lines))
    end = next((i for i in range(start + 1, len(lines)) if not lines[i].startswith((" ", "-"))), len(lines))
    lines[start:end] = ["presets:", *(f"  - {name}" for name in names)]
    with replacing(PARAMS) as temporary:
        temporary.write_text("\n".join(lines) + "\n")
    refresh()


def expand(names: list[str]) -> dict[str, dict[str, Item]]:
    """list -> {key: item}; the key is what follows `@` in DVC's name of a stage."""
    lists: dict[str, dict[str, Item]] = {name: {} for name in LISTS}
    for name in names:
        for kind, item in _items(load_preset(name)):
            key = "-".join(str(item[part]) for part in KEY_PARTS if part in item)
            if key in lists[kind]:
                raise UserError(
                    f"{PARAMS}: presets {lists[kind][key]['preset']} and {name} both have {key} among the {kind}: rename one"
                )
            lists[kind][key] = item
    return lists


def _items(preset: AnyPreset) -> Iterator[tuple[str, Item]]:
    base: Item = {"preset": preset.name}
    yield "all_presets", base
    if isinstance(preset, LatencyPreset):
        yield "latencies", base
        return
    yield "reproductions", _reproduction(preset)
    yield from _tokenizer_and_judges(preset)
    if preset.teacher.official:
        file = str(path_of(preset.teacher.official))
        model = f"{TEACHER}/seed-{preset.first_teacher}"
        yield "official", {**base, "variant": TEACHER, "file": file, "model": model}
    else:
        yield from (("teachers", {**base, "seed": seed}) for seed in preset.model_seeds(TEACHER))
    for variant in preset.distill.variants:
        for seed in preset.model_seeds(variant):
            yield "students", {**base, "variant": variant, "seed": seed, "teacher": preset.teachers[seed]}
    for variant, tuned in preset.reinforce.variants.items():
        for seed in preset.model_seeds(variant):
            of = {"start": tuned.start, "seed": seed, "teacher": preset.teachers[seed]}
            yield "reinforced", {**base, "variant": variant, **of}
    for variant, settings in preset.variants.items():
        yield "variants", {**base, "variant": variant, "model": settings.model}
        yield "scored", {**base, "variant": variant, "samples": f"samples/{variant}.npz"}
    for variant in preset.inpaint.variants:
        yield "inpainted", {**base, "variant": variant, "model": preset.variants[variant].model}
        yield "scored", {**base, "variant": inpainted(variant), "samples": f"inpainted/{variant}.npz"}
    yield "scored", {**base, "variant": REAL, "samples": "data/test.npz"}


def _reproduction(preset: Preset) -> Item:
    show = preset.showcase
    return {
        "preset": preset.name,
        "teacher": preset.first_teacher,
        "shown_model": f"{show.model}/seed-{show.seed}",
        "shown_variant": show.variant,
    }


def _tokenizer_and_judges(preset: Preset) -> Iterator[tuple[str, Item]]:
    """Trained by a stage, or published weights from the registry."""
    base = {"preset": preset.name}
    if isinstance(preset.tokenizer, OfficialTokenizer):
        file = str(path_of(preset.tokenizer.official))
        yield "official", {**base, "variant": "tokenizer", "file": file, "model": "tokenizer"}
    else:
        yield "tokenizers", base
    if preset.judges.kind == "published":
        files = {name.replace("-", "_"): str(path_of(name)) for name in weights_of(preset.judges)}
        yield "published_judges", {**base, **files}
    else:
        yield "miniature_judges", base


def render() -> str:
    """The text that `workflow/runs.yaml` should have."""
    return HEADER + yaml.safe_dump(expand(active_presets()), sort_keys=False, width=120)


def refresh() -> None:
    """Write the lists if they are stale."""
    text = render()
    if not RUNS.is_file() or RUNS.read_bytes() != text.encode():
        with replacing(RUNS) as temporary:
            temporary.write_text(text)


def check(copy: Path) -> None:
    """UserError if the lists are stale; else a JSON copy of them, which says what the results consist of."""
    if not RUNS.is_file() or RUNS.read_bytes() != render().encode():
        raise UserError(
            f"{RUNS} does not match {PARAMS} and the presets: run `python -m marval runs`, then again"
        )
    write_json(copy, expand(active_presets()))
