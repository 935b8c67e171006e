"""A judge that nobody here trained decides nothing before it has ranked what is known, on enough images."""

from __future__ import annotations

import json
from pathlib import Path

import made_up
import pytest

from reports.paper import Paper
from reports.provenance import Provenance
from reports.tables import all_tables

GRID = {"marval-w1": 215.0, "marval": 202.0, "marval-w2": 218.0, "marval-w4": 345.0}
DAMAGES = ("ranks blur", "ranks noise", "ranks the next class")


def measured(
    project: Path, grid: dict[str, float], copies: list[float | None], n: int = 10_000, images: int = 5_000
) -> dict[str, str]:
    """The judge's row, by column, where it gives these distances and ranks these shares of halves of each damage."""
    root = project / "results/made-up"
    for variant, distance in grid.items():
        file = root / f"metrics/{variant}.json"
        own = made_up.metric_row("frechet_distance", distance, spread=0.001)
        own |= {
            "metric": "frechet_distance_other",
            "title": "Fréchet distance, other",
            "judge": "other",
            "n": n,
        }
        file.write_text(json.dumps([*json.loads(file.read_text()), own]))
    rows = [
        {
            "judge": "other",
            "quantity": damage,
            "value": share,
            "ci_low": None,
            "ci_high": None,
            "n": 20,
            "images": images,
        }
        for damage, share in zip(DAMAGES, copies, strict=False)
    ]
    file = root / "judges/quality.json"
    file.write_text(json.dumps([*json.loads(file.read_text()), *rows]))
    results = made_up.opened(project)
    tables = all_tables(results, Paper(), Provenance(results))
    (row,) = tables["independent"].rows
    return dict(zip(tables["independent"].frame.columns, row, strict=True))


def test_it_may_decide_once_it_ranks_both_on_enough_images(project: Path) -> None:
    row = measured(project, GRID, [1.0, 1.0, 1.0])
    assert row == {
        "judge": "other",
        "images": "5,000 in a half of held-out ones, 10,000 generated at each scale",
        "corrupted copies": "ranked on all of 20 halves",
        "guidance scales": "ranked: w = 1.2, 1, 2, 4, nearest first (as the paper's)",
        "may decide": "distances: it has ranked both",
    }


@pytest.mark.parametrize("few", [{"n": 4_999}, {"images": 4_999}])
@pytest.mark.parametrize("ranks", [True, False])
def test_fewer_images_decide_nothing(project: Path, few: dict[str, int], ranks: bool) -> None:
    row = measured(project, GRID if ranks else {**GRID, "marval": 216.0}, [1.0] * 3, **few)
    assert row["may decide"] == "nothing: too few images to decide (5,000 are wanted)"
    assert row["guidance scales"].startswith("ranked" if ranks else "not ranked")


@pytest.mark.parametrize(
    ("changed", "order"),
    [
        ({"marval": 216.0}, "1, 1.2, 2, 4"),
        ({"marval-w1": 219.0}, "1.2, 2, 1, 4"),
        ({"marval-w4": 203.0}, "1.2, 4, 1, 2"),
    ],
)
def test_guidance_scales_in_another_order_decide_nothing(
    project: Path, changed: dict[str, float], order: str
) -> None:
    row = measured(project, GRID | changed, [1.0, 1.0, 1.0])
    assert row["guidance scales"] == f"not ranked: w = {order}, nearest first (the paper's: 1.2, 1, 2, 4)"
    assert row["may decide"] == "nothing: it does not rank the guidance scales"


def test_scales_are_compared_on_the_seeds_that_they_share(project: Path) -> None:
    """A scale of one seed, where all distances are larger than on the others: nearer than the best on that seed's own."""
    row = measured(project, {name: GRID[name] for name in ("marval-w1", "marval-w2", "marval-w4")}, [])
    assert row["guidance scales"] == "not measured (w = 1, 2, 4 alone)"
    file = project / "results/made-up/metrics/marval.json"
    own = made_up.metric_row("frechet_distance", 202.0)
    # the mean is above the others'; on the seed that they have in common it is below
    own |= {
        "metric": "frechet_distance_other",
        "judge": "other",
        "n": 10_000,
        "value": 250.0,
        "values": [202.0, 274.0, 274.0],
    }
    file.write_text(json.dumps([*json.loads(file.read_text()), own]))
    for name in ("marval-w1", "marval-w2", "marval-w4"):
        file = project / f"results/made-up/metrics/{name}.json"
        rows = json.loads(file.read_text())
        rows[-1] |= {
            "seeds": [0],
            "values": [GRID[name]],
            "value": GRID[name],
            "halves": rows[-1]["halves"][:1],
        }
        file.write_text(json.dumps(rows))
    results = made_up.opened(project)
    (row_of,) = all_tables(results, Paper(), Provenance(results))["independent"].rows
    assert row_of[3] == "ranked: w = 1.2, 1, 2, 4, nearest first (as the paper's)"


@pytest.mark.parametrize(
    ("copies", "told", "why"),
    [
        (
            [1.0, 0.95, 1.0],
            "not ranked (noise: on 95% of the halves)",
            "it does not rank the corrupted copies",
        ),
        ([1.0, 1.0, None], "not measured: the next class", "the corrupted copies were not ranked"),
        ([], "not measured", "the corrupted copies were not ranked"),
    ],
)
def test_copies_that_are_not_all_ranked_decide_nothing(
    project: Path, copies: list[float | None], told: str, why: str
) -> None:
    row = measured(project, GRID, copies)
    assert (row["corrupted copies"], row["may decide"]) == (told, f"nothing: {why}")


def test_too_few_scales_decide_nothing(project: Path) -> None:
    row = measured(project, {name: GRID[name] for name in ("marval-w1", "marval")}, [1.0, 1.0, 1.0])
    assert row["guidance scales"] == "not measured (w = 1.2, 1 alone)"
    assert row["may decide"] == "nothing: the guidance scales were not ranked"


def test_without_such_a_judge_nothing_is_said(complete: Path) -> None:
    results = made_up.opened(complete)
    assert "independent" not in all_tables(results, Paper(), Provenance(results))
