"""The list of presets, and two results held against each other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from reports.__main__ import main
from reports.errors import UserError
from reports.index import write_index


def test_index_lists_presets_with_claims_only(compared: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).symlink_to(compared / name)
    (tmp_path / "no-claims-yet").mkdir()
    page = write_index(tmp_path).read_text()
    assert 'href="a/report.html"' in page
    assert 'href="b/report.html"' in page
    assert "no-claims-yet" not in page
    assert page.count("✓ reproduced</span>") == 10
    assert "2026-01-02 03:04 UTC" in page


def test_index_of_nothing_says_so(tmp_path: Path) -> None:
    assert "No preset has a report yet" in write_index(tmp_path).read_text()


def test_comparison_shows_differences_only_where_they_may_be_taken(compared: Path, tmp_path: Path) -> None:
    output = tmp_path / "compared.html"
    assert main(["compare", str(compared / "a"), str(compared / "b"), "-o", str(output)]) == 0
    page = output.read_text()
    assert "a against b" in page
    assert "not comparable" in page
    assert "34.02 [33.07, 35.00], proxy" in page
    assert re.search(r"<strong>(<span[^>]*>)?1\.00", page)


def test_comparison_without_a_report_is_the_users_error(compared: Path, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    assert main(["compare", str(tmp_path / "a"), str(compared / "b"), "-o", str(tmp_path / "c.html")]) == 2


def test_a_missing_folder_is_named_with_what_makes_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        main(["compare", str(tmp_path / "digits"), str(tmp_path / "b"), "-o", str(tmp_path / "c.html")]) == 2
    )
    said = capsys.readouterr().err
    assert "make reproduce PRESET=digits" in said
    assert "--results" not in said  # an option of other commands


def test_damaged_claims_are_the_users_error(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/claims.json").write_text("[")
    with pytest.raises(UserError, match="damaged"):
        write_index(tmp_path)
