"""paper.yaml agrees with itself, and nothing else repeats its numbers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from reports.paper import Paper

PACKAGE = Path(__file__).parents[2] / "reports"


def test_the_abstracts_speedup_is_table_1s() -> None:
    assert Paper().speedup("B") == pytest.approx(32.95, abs=0.005)


def test_the_discrepancy_of_h_is_table_1s() -> None:
    paper = Paper()
    assert paper.speedup("H") == pytest.approx(18.6, abs=0.05)
    assert "18.6" in paper.content["discrepancies"][0]["text"]


def test_the_tolerance_of_smaller_sizes_is_the_papers_own_loss() -> None:
    paper = Paper()
    assert paper.tolerance("C3", "smaller_ratio")[0] == pytest.approx(paper.distance_ratio("B"), abs=0.005)
    assert paper.tolerance("C1", "order_ratio")[0] == paper.tolerance("C3", "smaller_ratio")[0]


def test_the_best_guidance_is_table_3s() -> None:
    paper = Paper()
    rows = paper.table("table3")["rows"]
    assert min(rows, key=lambda row: row["fid"])["guidance"] == paper.best_guidance


def test_gains_are_table_2s() -> None:
    paper = Paper()
    assert paper.gain("clip_score") == pytest.approx(0.45)
    assert paper.gain("image_reward") == pytest.approx(0.043)
    assert paper.gain("pick_score") is None


def test_unknown_figures_stay_unknown() -> None:
    paper = Paper()
    assert paper.row("table1", model="MAR-L").get("fid") is None
    assert paper.speedup("L") is None


def test_every_table_and_claim_names_its_source_and_every_tolerance_its_reason() -> None:
    paper = Paper()
    assert all(table["source"] for table in paper.content["tables"].values())
    assert sorted(paper.claims) == ["C1", "C2", "C3", "C4", "C5"]
    for claim in paper.claims.values():
        assert claim["source"]
        assert claim["tolerances"]
        assert all(entry["reason"].strip() for entry in claim["tolerances"].values())


def test_no_code_or_template_repeats_a_number_of_the_paper() -> None:
    rows = [row for table in Paper().content["tables"].values() for row in table["rows"]]
    numbers = {str(v) for row in rows for v in row.values() if isinstance(v, float) and len(str(v)) >= 4}
    assert "20.1" in numbers
    for file in [*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.j2")]:
        found = numbers & set(re.findall(r"\d+\.\d+", file.read_text())) - {"1.18"}
        found = {n for n in found if len(n) > 4}  # layout has two-digit decimals of its own
        assert not found, f"{file.name} repeats {found}"
