"""paper.yaml agrees with itself, and nothing else repeats its numbers."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import pytest

from reports.paper import Paper

ROOT = Path(__file__).parents[2]


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


@functools.cache
def printed() -> set[str]:
    """Every number of the paper's tables with a decimal point, as the paper prints it and as YAML reads it; the speed-ups too."""
    paper = Paper()
    cells = [
        cell for table in paper.content["tables"].values() for row in table["rows"] for cell in row.items()
    ]
    fractions = {(name, value) for name, value in cells if isinstance(value, float)}
    ratios = {f"{ratio:.2f}" for size in "BLH" if (ratio := paper.speedup(size))}
    return ratios | {text for name, x in fractions for text in (str(x), f"{x:.{paper.decimals(name)}f}")}


def repeated(text: str, digits: int) -> set[str]:
    """Numbers of the paper that a text repeats, of those that are too long to be there by chance."""
    numbers = {number for number in printed() if len(number.replace(".", "")) >= digits}
    return numbers & set(re.findall(r"(?<![\d.])\d+\.\d+(?![\d.])", text))


def test_printed_numbers_are_those_of_the_tables() -> None:
    assert {"20.10", "20.1", "2.60", "222.7", "32.95"} <= printed()
    assert repeated("at 20.10 s, w = 1.2, 120.10, 20.101, version 20.10.3", 4) == {"20.10"}


@pytest.mark.parametrize("package", ["reports", "marval", "metrics"])
def test_no_code_or_template_repeats_a_number_of_the_paper(package: str) -> None:
    files = [path for kind in ("*.py", "*.j2") for path in (ROOT / package).rglob(kind)]
    assert files
    # code has two-digit decimals of its own
    found = {path.relative_to(ROOT).as_posix(): repeated(path.read_text(), 4) for path in files}
    assert not {file: numbers for file, numbers in found.items() if numbers}


@pytest.mark.parametrize("file", sorted((ROOT / "workflow").rglob("*.yaml")), ids=lambda file: file.name)
def test_no_preset_repeats_a_number_of_the_paper(file: Path) -> None:
    text = file.read_text()
    comments = "\n".join(line.partition("#")[2] for line in text.splitlines())
    # a setting may have such a value by chance (an EMA of 0.97), but a comment has none
    assert not repeated(comments, 3) | repeated(text, 4)
