"""ro-crate-metadata.json: RO-Crate 1.1 with the profile Workflow Run Crate 0.5 (w3id.org/ro/wfrun/workflow), as plain JSON-LD.

One run of the workflow is one CreateAction; each recorded stage is another, whose instrument is the stage's command.

The crate of the tests was held to these profiles by roc-validator 0.13.0 (workflow-run-crate-0.5 and those it inherits): nothing
REQUIRED is missing. RECOMMENDED and not here: who ran it (agent, author, publisher) and a program's address, which records do
not know. The validator is not in the lock file and no test runs it: each version up to that one wants rich below 14, where the
lock has 15, and it fetches the two contexts from w3id.org. By hand, in an environment of its own and with network:

    pip install roc-validator==0.13.0
    rocrate-validator validate -p workflow-run-crate-0.5 export/digits
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from reports.formats import Record
from reports.page import last_started
from reports.results import Results

METADATA = "ro-crate-metadata.json"
PROFILES = (
    "https://w3id.org/ro/wfrun/process/0.5",
    "https://w3id.org/ro/wfrun/workflow/0.5",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0",
)
SNAKEMAKE = "https://w3id.org/workflowhub/workflow-ro-crate#snakemake"
WORKFLOW = "workflow/Snakefile"
COMPLETED = "http://schema.org/CompletedActionStatus"
BIOSCHEMAS = "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"
README = "README.md"
LICENCE = "https://spdx.org/licenses/MIT"
LEFT_OUT = ("models", "latents", "snapshots", "data", "judges")  # folders; what of them is quoted is kept
KEPT = ("data/classes.json", "judges/quality.json")
TYPES = {  # not the machine's own list, so that a second machine writes the same
    "": "text/plain",
    ".csv": "text/csv",
    ".html": "text/html",
    ".json": "application/json",
    ".md": "text/markdown",
    ".npz": "application/zip",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".tex": "application/x-tex",
    ".yaml": "application/yaml",
}

Entity = dict[str, Any]


def metadata(crate: Path, results: Results) -> Entity:
    """The content of the file for the files that are in the folder `crate`."""
    paths = sorted(p for p in crate.rglob("*") if p.is_file() and p.name != METADATA)
    version = next(
        (str(r.get("git_commit")) for r in reversed(results.records) if r.get("git_commit")), "unknown"
    )
    files = [_file(path, path.relative_to(crate).as_posix(), version) for path in paths]
    left_out = _left_out(results, {f["@id"] for f in files})
    places = {f["@id"]: f["@id"] for f in files} | {e["name"]: e["@id"] for e in left_out}
    stages = [_action(record, places) for record in results.records]
    graph = [
        {
            "@id": METADATA,
            "@type": "CreativeWork",
            "about": {"@id": "./"},
            "conformsTo": [{"@id": "https://w3id.org/ro/crate/1.1"}, {"@id": PROFILES[2]}],
        },
        _root(results, files, stages),
        *(
            {"@id": id, "@type": "CreativeWork", "name": id, "version": id.rsplit("/", 1)[1]}
            for id in (*PROFILES, BIOSCHEMAS)
        ),
        {"@id": LICENCE, "@type": "CreativeWork", "name": "MIT Licence", "url": LICENCE},
        {
            "@id": SNAKEMAKE,
            "@type": "ComputerLanguage",
            "name": "Snakemake",
            "alternateName": "Snakemake",
            "identifier": {"@id": "https://doi.org/10.1093/bioinformatics/bts480"},
            "url": {"@id": "https://snakemake.readthedocs.io"},
        },
        _run(results, files),
        *stages,
        *(
            {
                "@id": f"#{r.stage}-program",
                "@type": "SoftwareApplication",
                "name": str(r.get("command") or r.stage),
                "softwareVersion": f"git {r.get('git_commit') or 'unknown'}",
            }
            for r in results.records
        ),
        *files,
        *left_out,
    ]
    return {
        "@context": [
            "https://w3id.org/ro/crate/1.1/context",
            "https://w3id.org/ro/terms/workflow-run/context",
        ],
        "@graph": graph,
    }


def _root(results: Results, files: list[Entity], stages: list[Entity]) -> Entity:
    return {
        "@id": "./",
        "@type": "Dataset",
        "name": f"MARVAL reproduced on {results.preset}",
        "description": f"Claims of arXiv 2511.15190 and their evidence: {results.settings.get('description', results.preset)}.",
        "datePublished": _date(last_started(results)),
        "license": {"@id": LICENCE},
        "conformsTo": [{"@id": id} for id in PROFILES],
        "mainEntity": {"@id": WORKFLOW},
        "hasPart": [{"@id": f["@id"]} for f in files],
        "mentions": [{"@id": "#run"}, *({"@id": stage["@id"]} for stage in stages)],
    }


def _date(when: str) -> str:
    """The day of the results, so that equal results give an equal crate."""
    return when[:10] or "1970-01-01"


def _file(path: Path, name: str, version: str) -> Entity:
    """`version`: of the workflow, the commit of its latest run."""
    entity: Entity = {
        "@id": name,
        "@type": "File",
        "name": path.name,
        "encodingFormat": TYPES.get(path.suffix, "application/octet-stream"),
        "contentSize": str(path.stat().st_size),
        "sha256": sha256(path),
    }
    if name == WORKFLOW:
        entity |= {
            "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow"],
            "name": "Snakefile, made from dvc.yaml",
            "programmingLanguage": {"@id": SNAKEMAKE},
            "license": {"@id": LICENCE},
            "version": version,
            "conformsTo": {"@id": BIOSCHEMAS},
        }
    if name == README:
        entity["about"] = {"@id": "./"}
    return entity


def _left_out(results: Results, files: set[str]) -> list[Entity]:
    """What stages made and the crate leaves out, by name and hash; a file that is not here cannot be a File of RO-Crate."""
    made = {path: md5 for r in results.records for path, md5 in (r.get("outputs") or {}).items()}
    root = f"results/{results.preset}/"
    return [
        {
            "@id": f"#{path}",
            "@type": "CreativeWork",
            "name": path,
            "description": "Made by the run; not, or not whole, in this crate.",
            # of a folder, DVC's hash is one of a list of files
            ("identifier" if md5.endswith(".dir") else "md5"): md5,
        }
        for path, md5 in made.items()
        if path not in files and path.removeprefix(root).split("/")[0] in LEFT_OUT
    ]


def _run(results: Results, files: list[Entity]) -> Entity:
    """The whole run: from its settings to what is in the crate."""
    made = [{"@id": f["@id"]} for f in files if f["@id"].startswith("results/")]
    used = [{"@id": f["@id"]} for f in files if f["@id"].startswith("workflow/") and f["@id"] != WORKFLOW]
    times = [
        (start, end) for record in results.records if (start := _start(record)) and (end := _end(record))
    ]
    span = {"startTime": min(s for s, _ in times), "endTime": max(e for _, e in times)} if times else {}
    return {
        "@id": "#run",
        "@type": "CreateAction",
        "name": f"make reproduce PRESET={results.preset}",
        "description": f"All stages of the preset {results.preset}, from images to verdicts.",
        "instrument": {"@id": WORKFLOW},
        "actionStatus": COMPLETED,
        **_linked(object=used, result=made),
        **span,
    }


def _action(record: Record, places: dict[str, str]) -> Entity:
    """A recorded stage, with those of its inputs and outputs that have an @id: `places` is {path: @id}."""

    def known(kind: str) -> list[Entity]:
        """A folder stands for what is in it too."""
        paths = tuple(record.get(kind) or {})
        within = tuple(f"{path}/" for path in paths)
        return [{"@id": id} for path, id in places.items() if path in paths or path.startswith(within)]

    times = {"startTime": _start(record), "endTime": _end(record)}
    return {
        "@id": f"#{record.stage}",
        "@type": "CreateAction",
        "name": record.stage,
        "description": f"One run of the stage {record.stage}, as it was recorded.",
        "instrument": {"@id": f"#{record.stage}-program"},
        "actionStatus": COMPLETED,
        **_linked(object=known("inputs"), result=known("outputs")),
        **{key: value for key, value in times.items() if value},
    }


def _linked(**links: list[Entity]) -> Entity:
    """As RO-Crate's JSON-LD is written: one entity by itself, several as a list, none not at all."""
    return {name: found if len(found) > 1 else found[0] for name, found in links.items() if found}


def _start(record: Record) -> str:
    return str(record.get("started") or "")


def _end(record: Record) -> str:
    wall = record.get("wall_seconds")
    if not _start(record) or not isinstance(wall, int | float):
        return ""
    return (datetime.fromisoformat(_start(record)) + timedelta(seconds=round(wall))).isoformat()


def sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
