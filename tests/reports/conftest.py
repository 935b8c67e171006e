"""Made-up results: one complete folder for the session, and small ones with chosen means for the claims."""

from __future__ import annotations

import shutil
from pathlib import Path

import made_up
import pytest

from reports.build import build


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
