"""Cards in Markdown: one for each trained model, one for the data. Everything in them is read from the results."""

from __future__ import annotations

import json
from typing import Any

from reports.formats import Metric, Record
from reports.results import Results
from reports.roles import REAL
from reports.wording import interval, seconds

LICENCE = "MIT"  # of the code and of what it trains; of the data, its source's

WHAT = {
    "tokenizer": "KL autoencoder between images and latent tokens",
    "teacher": "masked auto-regressive transformer with a diffusion head (MAR)",
    "distill": "one-step student, distilled from the teacher by guided score implicit matching",
    "reinforce": "one-step student, fine-tuned by a reward",
}


def cards(results: Results) -> dict[str, str]:
    """{file stem: Markdown}."""
    settings = results.settings
    sections = {name: name for name in ("tokenizer", "teacher") if isinstance(settings.get(name), dict)}
    for section in ("distill", "reinforce"):
        sections |= dict.fromkeys((settings.get(section) or {}).get("variants") or {}, section)
    made = {name: _model(results, name, section) for name, section in sections.items()}
    return made | ({"data": _data(results)} if settings.get("prepare") else {})


def _model(results: Results, name: str, section: str) -> str:
    settings = results.settings
    own = settings[section] if section == name else settings[section]["variants"][name]
    shared = settings[section].get("training") if section != name else None
    variants = [v for v in results.variants if results.roles.model(v) == name]
    lines = [
        *_front_matter(results, name, variants),
        f"# {name} ({results.preset})",
        "",
        f"A {WHAT[section]}, trained by a reproduction of MARVAL (arXiv 2511.15190) on: {_images(results)}.",
        "",
        "## Use",
        "",
        "For studying the method. It knows the classes of its data alone and was judged by the networks named below; nothing "
        "else was tested. Not for telling real images from made ones, nor for any decision about people.",
        "",
        "## Training",
        "",
        f"Seeds: {', '.join(map(str, own.get('seeds') or settings.get('seeds') or [0]))}. {_cost(results, name, section)}",
        "",
        "```json",
        json.dumps({"own": own} | ({"shared": shared} if shared else {}), indent=2),
        "```",
        "",
        "Data: [data.md](data.md).",
        "",
        "## Evaluation",
        "",
    ]
    rows = [(v, row) for v in variants for row in results.metrics.get(v, {}).values()]
    if rows:
        lines += ["| variant | metric | value [95%] | images | judge |", "|---|---|---|---|---|"]
        lines += [_row(variant, row) for variant, row in rows]
    else:
        lines += ["Its images were not judged by themselves; see the models that use it."]
    return "\n".join([*lines, "", "## Weights", "", *_weights(results, name, section), ""])


def _front_matter(results: Results, name: str, variants: list[str]) -> list[str]:
    metrics = sorted({row.name for v in variants for row in results.metrics.get(v, {}).values()})
    return [
        "---",
        f"license: {LICENCE.lower()}",
        "tags: [image-generation, masked-autoregressive, diffusion-distillation]",
        f"model_name: {json.dumps(name)}",
        f"metrics: {json.dumps(metrics)}",
        "---",
        "",
    ]


def _row(variant: str, row: Metric) -> str:
    return f"| {variant} | {row.title} | {interval(row.estimate)} | {row.n or ''} | {row.judge} |"


def _images(results: Results) -> str:
    return str(
        results.settings.get("description") or (results.settings.get("prepare") or {}).get("data", "images")
    )


def _runs(results: Results, name: str, section: str) -> list[Record]:
    """The recorded runs that left this model's weights."""
    stem = "/models/tokenizer." if section == "tokenizer" else f"/models/{name}/"
    return [r for r in results.records if any(stem in path for path in r.get("outputs") or {})]


def _cost(results: Results, name: str, section: str) -> str:
    runs = _runs(results, name, section)
    times = [float(r.get("wall_seconds")) for r in runs if isinstance(r.get("wall_seconds"), int | float)]
    return f"Wall time: {seconds(sum(times))} in {len(times)} run(s)." if times else "No run is recorded."


def _weights(results: Results, name: str, section: str) -> list[str]:
    """Hashes: the crate leaves the weights out."""
    hashes = {
        path: value
        for record in _runs(results, name, section)
        for path, value in (record.get("outputs") or {}).items()
        if path.endswith(".safetensors")
    }
    known = [f"- `{path}`, md5 `{value}`" for path, value in hashes.items()]
    return (
        ["Not in this crate; the run left:", "", *known]
        if known
        else ["Not in this crate, and no run is recorded."]
    )


def _data(results: Results) -> str:
    prepare: dict[str, Any] = results.settings["prepare"]
    runs = [r for r in results.records if r.stage.partition("@")[0] == "prepare"]
    outputs = {path: value for r in runs for path, value in (r.get("outputs") or {}).items()}
    real = results.metrics.get(REAL, {})
    return "\n".join(
        [
            f"# Data ({results.preset})",
            "",
            f"{_images(results)}. Source: `{prepare.get('data')}`; classes: {', '.join(results.classes) or 'unknown'}.",
            "",
            "## How they were prepared",
            "",
            "```json",
            json.dumps(prepare, indent=2),
            "```",
            "",
            *(f"- `{path}`, md5 `{value}`" for path, value in outputs.items()),
            "",
            "## What a judge says of held-out real images",
            "",
            *(f"- {row.title}: {interval(row.estimate)} ({row.judge})" for row in real.values()),
            "",
            "## Licence",
            "",
            "That of the source. The prepared images are not in this crate; `neighbours.npz`, `showcase.npz` and the report "
            "show a few of them.",
            "",
        ]
    )
