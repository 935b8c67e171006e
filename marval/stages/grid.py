"""From the active presets to the lists of stages that `dvc.yaml` multiplies out: `workflow/runs.yaml`.

`params.yaml` names the active presets; each preset says which variants and seeds it has. DVC can iterate over lists but not
follow a name into another file, so the lists are written out here. The Snakefile refreshes them when they are stale; under bare
`dvc repro` the stage `runs` refuses stale ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from marval.artifacts import replacing, write_json
from marval.errors import UserError
from marval.stages.preset import (
    PUBLISHED_JUDGES,
    REAL,
    TEACHER,
    AnyPreset,
    LatencyPreset,
    OfficialTokenizer,
    Preset,
    load_preset,
    read_yaml,
)
from marval.weights import path_of

PARAMS = Path("params.yaml")
RUNS = Path("workflow/runs.yaml")
HEADER = "# Written by `python -m marval runs` from params.yaml and the presets; edit those instead.\n"

# every stage that dvc.yaml multiplies out; DVC wants a list for each, be it empty
STAGES = (
    *("prepare", "tokenizer", "official", "encode", "judges", "published", "calibrate", "showcase", "speed"),
    *("teacher", "distill", "reinforce", "sample", "evaluate", "report", "latency", "latency_report"),
)
KEY_PARTS = ("preset", "variant", "seed")

Item = dict[str, Any]


def active_presets() -> list[str]:
    """The list `presets` of params.yaml."""
    content = read_yaml(PARAMS)
    names = content.get("presets") if isinstance(content, dict) else None
    if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
        raise UserError(f"{PARAMS}: presets must be a list of names, such as [digits], not {names!r}")
    return names


def activate(names: list[str]) -> None:
    """Make `names` the active presets, in params.yaml and in the lists; the file's comments stay."""
    for name in names:
        load_preset(name)
    lines = PARAMS.read_text().splitlines()
    (start,) = [i for i, line in enumerate(lines) if line.startswith("presets:")] or [len(lines)]
    end = next((i for i in range(start + 1, len(lines)) if not lines[i].startswith((" ", "-"))), len(lines))
    lines[start:end] = ["presets:", *(f"  - {name}" for name in names)]
    with replacing(PARAMS) as temporary:
        temporary.write_text("\n".join(lines) + "\n")
    refresh()


def expand(names: list[str]) -> dict[str, dict[str, Item]]:
    """stage -> {key: item}; the key is what follows `@` in DVC's name of the stage."""
    lists: dict[str, dict[str, Item]] = {stage: {} for stage in STAGES}
    for name in names:
        for stage, item in _items(load_preset(name)):
            key = "-".join(str(item[part]) for part in KEY_PARTS if part in item)
            lists[stage][key] = item
    return lists


def _items(preset: AnyPreset) -> Iterator[tuple[str, Item]]:
    base = {"preset": preset.name}
    if isinstance(preset, LatencyPreset):
        yield from (("latency", base), ("latency_report", base))
        return
    for stage in ("calibrate", "report"):
        yield stage, base
    for stage in ("prepare", "encode"):
        yield stage, base
    yield from _tokenizer_and_judges(preset)
    show = preset.showcase
    yield (
        "showcase",
        {
            **base,
            "model": show.model,
            "model_seed": show.seed,
            "samples": show.variant,
        },
    )
    yield "speed", {**base, "first_seed": preset.seeds[0]}
    if preset.teacher.official:
        file = str(path_of(preset.teacher.official))
        yield (
            "official",
            {**base, "variant": TEACHER, "file": file, "model": f"{TEACHER}/seed-{preset.seeds[0]}"},
        )
    else:
        for seed in preset.seeds:
            yield "teacher", {**base, "seed": seed}
    for variant in preset.distill.variants:
        for seed in preset.model_seeds(variant):
            yield "distill", {**base, "variant": variant, "seed": seed}
    for variant, tuned in preset.reinforce.variants.items():
        for seed in preset.model_seeds(variant):
            yield "reinforce", {**base, "variant": variant, "start": tuned.start, "seed": seed}
    for variant, settings in preset.variants.items():
        yield "sample", {**base, "variant": variant, "model": settings.model}
        yield "evaluate", {**base, "variant": variant, "samples": f"samples/{variant}.npz"}
    yield "evaluate", {**base, "variant": REAL, "samples": "data/test.npz"}


def _tokenizer_and_judges(preset: Preset) -> Iterator[tuple[str, Item]]:
    """Trained by a stage, or published weights from the registry."""
    base = {"preset": preset.name}
    if isinstance(preset.tokenizer, OfficialTokenizer):
        file = str(path_of(preset.tokenizer.official))
        yield "official", {**base, "variant": "tokenizer", "file": file, "model": "tokenizer"}
    else:
        yield "tokenizer", base
    if preset.judges.kind == "published":
        files = {name.replace("-", "_"): str(path_of(name)) for name in PUBLISHED_JUDGES}
        yield "published", {**base, **files}
    else:
        yield "judges", base


def render() -> str:
    """The text that `workflow/runs.yaml` should have."""
    return HEADER + yaml.safe_dump(expand(active_presets()), sort_keys=False, width=120)


def refresh() -> bool:
    """Write the lists if they are stale; True if they were."""
    text = render()
    if RUNS.is_file() and RUNS.read_text() == text:
        return False
    with replacing(RUNS) as temporary:
        temporary.write_text(text)
    return True


def check(copy: Path) -> None:
    """UserError if the lists are stale; else a JSON copy of them, which says what the results consist of."""
    if not RUNS.is_file() or RUNS.read_text() != render():
        raise UserError(
            f"{RUNS} does not match {PARAMS} and the presets: run `python -m marval runs`, then again"
        )
    write_json(copy, expand(active_presets()))
