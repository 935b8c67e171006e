"""Made-up results: one complete folder for the session, and small ones with chosen means for the claims."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import made_up
import pytest

from reports.build import build
from reports.compare import write_comparison
from reports.index import write_index


@pytest.fixture(scope="session")
def complete(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project folder with complete results of the preset made-up. Read only: copy it to change it."""
    project = tmp_path_factory.mktemp("complete")
    made_up.write_results(project)
    return project


@pytest.fixture(scope="session")
def reported(complete: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with its report. Read only."""
    project = tmp_path_factory.mktemp("reported") / "project"
    shutil.copytree(complete, project)
    build(made_up.opened(project))
    return project / "results" / "made-up"


@pytest.fixture(scope="session")
def compared(reported: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """results/a and results/b, index.html, compared.html: b's marval has a larger distance and another judge of images.

    Read only.
    """
    folder = tmp_path_factory.mktemp("compared") / "results"
    for name in ("a", "b"):
        shutil.copytree(reported, folder / name)
    file = folder / "b/metrics/marval.json"
    rows = json.loads(file.read_text())
    for row in rows:
        if row["metric"] == "frechet_distance":
            row |= {k: row[k] + 1 for k in ("value", "ci_low", "ci_high")} | {
                "values": [v + 1 for v in row["values"]]
            }
        if row["metric"] == "clip_score":
            row["judge_sha256"] = "another"
    file.write_text(json.dumps(rows))
    made_up.record("evaluate@made-up-marval", folder / "b", ["metrics/marval.json"], 12.0)
    write_index(folder)
    write_comparison(folder / "a", folder / "b", folder / "compared.html")
    return folder


@pytest.fixture
def project(complete: Path, tmp_path: Path) -> Path:
    """A copy of the complete project to change."""
    copy = tmp_path / "project"
    shutil.copytree(complete, copy)
    return copy


@pytest.fixture
def plain(project: Path) -> Path:
    """The same without training curves, which take half of a report's time."""
    shutil.rmtree(project / "results/made-up/curves")
    return project
