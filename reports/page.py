"""The page: everything that the template shows, put into words and rendered."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from reports import forest, front
from reports.claims import Claim, as_rows
from reports.figures import Drawing
from reports.figures.training import CURVES, main_curves
from reports.formats import Record
from reports.paper import Paper, command
from reports.pixels import Picture
from reports.provenance import Provenance
from reports.real_size import at_real_size
from reports.regimes import Regime, regimes
from reports.results import Results
from reports.samples import Gallery, Sheet
from reports.scope import scope_of
from reports.split import split
from reports.student import Student
from reports.tables import Table
from reports.tables.costs import machine
from reports.wording import bounds, interval, number, seconds

TEMPLATES = Path(__file__).parent / "templates"
WIDEST = 1080  # pixels of a picture on the page
QUALITY = "quality-"  # ids of the figures that show what the models are worth, and for what price


def environment() -> Environment:
    """Jinja with escaping everywhere; a misspelt name in a template is an error, but "is undefined" works."""
    loader = FileSystemLoader(TEMPLATES)
    env = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    env.globals["css"] = Markup((TEMPLATES / "style.css").read_text())
    env.globals["scripts"] = {path.stem: path.read_text() for path in TEMPLATES.glob("*.js")}
    env.globals["ticks"] = forest.ticks()
    return env


def render(
    results: Results,
    paper: Paper,
    claims: list[Claim],
    findings: list[Claim],
    tables: dict[str, Table],
    figures: dict[str, Drawing],
    galleries: list[Gallery],
    sheets: list[Sheet],
    student: Student | None,
    provenance: Provenance,
) -> str:
    """report.html."""
    evidence = {row["id"]: row["evidence"] for row in as_rows([*claims, *findings], results)}
    student_sources = [provenance.source(file) for file in student.files] if student else []
    first_screen = _front(results, paper, claims, provenance)
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            preset=results.preset,
            when=last_started(results),
            paper=paper.content,
            front=first_screen,
            claims=[_claim(claim, evidence[claim.id]) for claim in claims],
            findings=[_claim(finding, evidence[finding.id]) for finding in findings],
            scope_note=_scope_note(results, paper, claims),
            seeds_note=_seeds_note(results),
            measures_quality=results.measures_quality,
            split=[sentence for sentence in map(split, _claimed(results, paper)) if sentence],
            at_real_size="" if scope_of(results, paper).is_full else at_real_size(paper.speedup("B")),
            others=_others(results, paper),
            reduced=list(dict.fromkeys(row.note for row in results.speed if row.note)),
            failed_checks=results.distance_untrusted,
            headline_speedup=number(paper.speedup("B")),
            teacher_steps=paper.teacher_steps,
            tables=tables,
            figures=figures,
            front_figures=[id for id in figures if id.startswith(QUALITY)],
            curve_ids=[id for id in main_curves(results) if id in figures],
            other_curve_ids=[
                id for id in figures if id.startswith(CURVES) and id not in main_curves(results)
            ],
            galleries=_galleries(galleries),
            sheets=[
                {
                    "label": s.label,
                    "name": s.name,
                    "each": s.each,
                    "pictures": list(map(_picture, s.pictures)),
                }
                for s in sheets
            ],
            student=student,
            student_sources=student_sources,
            class_names=results.classes,
            anchors={source.file: source.anchor for source in provenance.sources},
            problems=results.problems,
            sources=provenance.sources,
            records=[_record(record) for record in results.records],
        )
    )


def last_started(results: Results) -> str:
    """When the latest stage run started, empty without records.

    A report's date is its results' date, so that it can be made again byte for byte.
    """
    latest = max((str(r.get("started", "")) for r in results.records), default="")
    day, _, time = latest.partition("T")
    return f"{day} {time[:5]} UTC" if time else latest


def _claimed(results: Results, paper: Paper) -> list[Regime]:
    """The claim's regime for each model size and device."""
    return [r for r in regimes(results, paper.teacher_steps) if r.is_claimed]


def _others(results: Results, paper: Paper) -> str:
    """The least and the most speed-up outside the claim's regime, in words."""
    found = [r for r in regimes(results, paper.teacher_steps) if not r.is_claimed]
    if not found:
        return ""
    least, most = (f(found, key=lambda r: r.speedup.value) for f in (min, max))
    ends = [f"{interval(r.speedup)} times ({r.name})" for r in (least, most)]
    return ends[0] if least is most else f"{ends[0]} to {ends[1]}"


def _scope_note(results: Results, paper: Paper, claims: list[Claim]) -> str:
    scope = scope_of(results, paper)
    if scope.is_full:
        return ""
    if not results.measures_quality:
        return f"The preset {results.preset} measures time alone: claims about images are not attempted here."
    full = [claim.id for claim in claims if claim.scope == "full"]
    rest = "claims marked “proxy” are" if full else "every claim here is"
    return (
        f"The preset {results.preset} is not the paper's setting ({'; '.join(scope.differs)}): {rest} tested on a stand-in. "
        "A proxy can support or contradict the method, not the paper's numbers."
    )


def _seeds_note(results: Results) -> str:
    """Whether what is judged has seeds on which settings were chosen; empty where the preset does not say."""
    chosen, judged = (results.settings.get(key) or [] for key in ("tuned_on", "seeds"))
    if not chosen:
        return ""
    listed, ours = (", ".join(map(str, seeds)) for seeds in (chosen, judged))
    on = f"Settings were chosen on {'seed' if len(chosen) == 1 else 'seeds'} {listed}"
    if both := sorted(set(chosen) & set(judged)):
        them = ", ".join(map(str, both))
        return f"{on}, and of these {them} are judged here: no verdict is independent of that."
    return f"{on}; the seeds judged here, {ours}, were held back from every choice."


def _front(results: Results, paper: Paper, claims: list[Claim], provenance: Provenance) -> dict[str, Any]:
    """The first screen."""
    shown, how = front.samples(results, paper, provenance)
    return {
        "result": front.result(claims, results.preset),
        "speedup": front.speedup(results, paper),
        "groups": forest_groups(claims),
        "samples": [
            {
                "name": s.name,
                "picture": _picture(s.picture),
                "seconds": s.seconds,
                "time": seconds(s.seconds.estimate.value if s.seconds.estimate else None),
                "evaluations": s.evaluations,
            }
            for s in shown
        ],
        "how": how,
        "setting": front.setting(results, paper),
    }


def forest_groups(claims: list[Claim], page: str | None = "") -> list[dict[str, Any]]:
    """The groups of a forest plot of claims, with links to the claims' sections of `page` where there is one."""
    return [
        {
            "id": claim.id,
            "href": "" if page is None else f"{page}#claim-{claim.id}",
            "rows": rows,
            "more": more,
        }
        for claim, (rows, more) in zip(claims, forest.short(claims), strict=True)
    ]


def _claim(claim: Claim, evidence: list[dict[str, str]]) -> dict[str, Any]:
    return {
        "id": claim.id,
        "claim": claim.claim,
        "title": claim.title,
        "source": claim.source,
        "scope": claim.scope,
        "quantity": claim.quantity,
        "verdict": str(claim.verdict),
        "short": front.short(claim),
        "why": _capital(claim.why),
        "paper_text": number(claim.paper),
        "ours_text": number(claim.estimate.value if claim.estimate else None),
        "bounds": bounds(claim.estimate),
        "rows": forest.rows(claim),
        "beside": claim.beside,
        "command": command(claim.at_full_scale) if claim.at_full_scale else "",
        "tolerances": claim.tolerances,
        "evidence": evidence,
    }


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def _galleries(galleries: list[Gallery]) -> list[dict[str, Any]]:
    """Narrow ones stand in pairs; one without a partner takes the whole width."""
    narrow = [gallery for gallery in galleries if gallery.kind == "rows"]
    alone = narrow[-1] if len(narrow) % 2 else None
    return [
        {
            "title": gallery.title,
            "text": gallery.text,
            "kind": "pictures" if gallery is alone else gallery.kind,
            "frames": gallery.frames,
            "pictures": list(map(_picture, gallery.pictures)),
        }
        for gallery in galleries
    ]


def _picture(p: Picture) -> dict[str, Any]:
    wide = min(round(p.width * p.scale), WIDEST)
    return {
        "uri": p.uri,
        "alt": p.alt,
        "caption": p.caption,
        "pixelated": p.pixelated,
        "tall": p.height > p.width,
        "width": p.width,
        "height": p.height,
        "shown_width": wide,
        "shown_height": round(p.height * wide / p.width),
    }


def _record(record: Record) -> dict[str, Any]:
    memory = record.get("peak_memory_mb")
    wall = record.get("wall_seconds")
    facts = {
        "command": record.get("command"),
        "started": record.get("started"),
        "git commit": _commit(record),
        "machine": machine(record.get("machine")),
        "platform": (record.get("machine") or {}).get("platform"),
        "versions": _pairs(record.get("versions")),
        "parameters": _parameters(record.get("parameters")),
    }
    return {
        "stage": record.stage,
        "wall": seconds(float(wall)) if isinstance(wall, int | float) else "no time recorded",
        "memory": f"{number(float(memory))} MB"
        if isinstance(memory, int | float) and math.isfinite(memory)
        else "",
        "energy": _energy(record.get("energy_joules")),
        "facts": [(name, value) for name, value in facts.items() if value],
        "inputs": record.get("inputs") or {},
        "outputs": record.get("outputs") or {},
    }


def _energy(joules: Any) -> str:
    return f"{number(float(joules) / 1000)} kJ" if isinstance(joules, int | float) else ""


def _commit(record: Record) -> str:
    commit = str(record.get("git_commit") or "")
    return f"{commit} (with uncommitted changes)" if commit and record.get("git_dirty") else commit


def _parameters(content: Any) -> str:
    """Settings, those of each file under its name."""
    if not isinstance(content, dict):
        return ""
    files = {
        key: value for key, value in content.items() if str(key).endswith((".yaml", ".yml", ".json", ".toml"))
    }
    parts = [f"{file}: {_pairs(value)}" for file, value in files.items()]
    return "; ".join(
        part for part in [*parts, _pairs({k: v for k, v in content.items() if k not in files})] if part
    )


def _pairs(content: Any, prefix: str = "") -> str:
    """Nested settings as `a.b = 1, c = 2`."""
    if not isinstance(content, dict):
        return ""
    parts = []
    for key, value in content.items():
        inner = _pairs(value, f"{prefix}{key}.")
        parts.append(inner if isinstance(value, dict) and value else f"{prefix}{key} = {value}")
    return ", ".join(part for part in parts if part)
