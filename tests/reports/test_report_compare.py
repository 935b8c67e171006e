"""The list of presets, and two results held against each other."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import made_up
import pytest

from reports.__main__ import main
from reports.errors import UserError
from reports.index import write_index


@pytest.fixture
def two(reported: Path, tmp_path: Path) -> Path:
    """results/a and results/b: the same, but b's marval has a larger distance and another judge of images."""
    for name in ("a", "b"):
        shutil.copytree(reported, tmp_path / "results" / name)
    file = tmp_path / "results/b/metrics/marval.json"
    rows = json.loads(file.read_text())
    for row in rows:
        if row["metric"] == "frechet_distance":
            row |= {k: row[k] + 1 for k in ("value", "ci_low", "ci_high")} | {
                "values": [v + 1 for v in row["values"]]
            }
        if row["metric"] == "clip_score":
            row["judge_sha256"] = "another"
    file.write_text(json.dumps(rows))
    made_up.record("evaluate@made-up-marval", tmp_path / "results/b", ["metrics/marval.json"], 12.0)
    return tmp_path / "results"


def test_index_lists_presets_with_claims_only(two: Path) -> None:
    (two / "no-claims-yet").mkdir()
    page = write_index(two).read_text()
    assert 'href="a/report.html"' in page
    assert 'href="b/report.html"' in page
    assert "no-claims-yet" not in page
    assert page.count("✓ reproduced</span>") == 10
    assert "2026-01-02 03:04 UTC" in page


def test_index_of_nothing_says_so(tmp_path: Path) -> None:
    assert "No preset has a report yet" in write_index(tmp_path).read_text()


def test_comparison_shows_differences_only_where_they_may_be_taken(two: Path) -> None:
    output = two / "compared.html"
    assert main(["compare", str(two / "a"), str(two / "b"), "-o", str(output)]) == 0
    page = output.read_text()
    assert "a against b" in page
    assert "not comparable" in page
    assert "34.02 [33.07, 35.00], proxy" in page
    assert re.search(r"<strong>(<span[^>]*>)?1\.00", page)


def test_comparison_without_a_report_is_the_users_error(two: Path) -> None:
    (two / "a/claims.json").unlink()
    assert main(["compare", str(two / "a"), str(two / "b"), "-o", str(two / "c.html")]) == 2


def test_damaged_claims_are_the_users_error(two: Path) -> None:
    (two / "a/claims.json").write_text("[")
    with pytest.raises(UserError, match="damaged"):
        write_index(two)
