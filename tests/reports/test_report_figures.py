"""Figures: which there are, that they carry their numbers in words, and that they fit a light and a dark page."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import made_up
import pytest

from reports.figures import Drawing, all_figures
from reports.figures.frontiers import against_diffusion_steps
from reports.figures.sample_size import against_sample_size
from reports.figures.style import INK
from reports.paper import Paper
from reports.wording import number


@pytest.fixture(scope="module")
def figures(complete: Path) -> dict[str, Drawing]:
    return all_figures(made_up.opened(complete), Paper())


def test_all_figures_are_there(figures: dict[str, Drawing]) -> None:
    names = ("seconds", "diffusion-steps", "methods", "methods-batch", "guidance", "diversity", "ar-steps")
    quality = [f"quality-{name}" for name in names]
    training = [f"curves-{name}" for name in ("tokenizer", "judges", "teacher", "marval", "marval-rl")]
    speed = ["speedup-regimes", "time-by-batch", "component-shares"]
    assert list(figures) == [*quality, *speed, "reward-hacking", *training]


@pytest.mark.parametrize(
    ("id", "words"),
    [
        ("quality-seconds", ["teacher-4 at 20.60 ms: 1.20", "marval at 10.20 ms: 0.900"]),
        ("quality-guidance", ["marval at w = 1.2: 0.900", "Within-class variance"]),
        ("speedup-regimes", ["batch 1, eager", "34.02 [33.07, 35.00] times"]),
        ("speedup-regimes", ["arithmetic alone 2.00, at the floor 3.00"]),
        ("time-by-batch", ["marval, batch 64, optimised: 0.600 ms, floor 1.00 ms"]),
        (
            "component-shares",
            ["marval, batch 1, eager: encoder 20.00%", "batch 64, optimised", "head 50.00%"],
        ),
        ("reward-hacking", ["training reward from 2.90 to 6.90", "CLIP score from", "Fréchet distance from"]),
        ("curves-marval", ["marval-s2: loss_l1 from", "loss_auxiliary"]),
    ],
)
def test_what_is_drawn_is_also_told(figures: dict[str, Drawing], id: str, words: list[str]) -> None:
    for part in words:
        assert part in figures[id].description, figures[id].description


def test_inline_figures_take_the_pages_colour_and_have_ids_of_their_own(figures: dict[str, Drawing]) -> None:
    ids: list[str] = []
    for figure in figures.values():
        svg = figure.inline_svg
        assert INK not in svg
        assert "currentColor" in svg
        assert svg.startswith("<svg")
        assert "width=" not in svg.split(">", 1)[0]
        found = re.findall(r'\bid="([^"]*)"', svg)
        assert set(re.findall(r'href="#([^"]*)"', svg)) | set(re.findall(r"url\(#([^)]*)\)", svg)) <= set(
            found
        )
        ids += found
    assert len(ids) == len(set(ids))


def test_files_have_no_background(figures: dict[str, Drawing]) -> None:
    for figure in figures.values():
        assert figure.png.startswith(b"\x89PNG")
        assert "#ffffff" not in figure.svg


def test_one_point_is_no_curve(project: Path) -> None:
    for path in (project / "results/made-up/metrics").glob("teacher-*.json"):
        if path.stem != "teacher-100":
            path.unlink()
    assert against_diffusion_steps(made_up.opened(project), Paper()) is None


def test_distance_is_drawn_against_the_number_of_images(complete: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    shutil.copytree(complete, project)
    results = made_up.opened(project)
    distance = made_up.metric_row("frechet_distance", 0.4) | {"curve": [[200, 1.2], [1000, 0.4]]}
    limit = made_up.metric_row("frechet_distance_infinity", 0.2)
    made_up.write_json(results.root / "metrics/marval.json", [distance, limit])
    drawing = against_sample_size(made_up.opened(project), Paper())
    assert drawing is not None
    value, extrapolated = (number(row["value"]) for row in (distance, limit))
    assert drawing.description == f"marval: {value} at n = 1000, {extrapolated} extrapolated"
