"""Timings: what may be compared, what a speed-up is made of, and reports of presets that measure time alone."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import made_up
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from reports import real_size
from reports.__main__ import main
from reports.figures import all_figures
from reports.figures.speedups import drawn
from reports.figures.style import style
from reports.formats import read_speed
from reports.paper import Paper
from reports.provenance import Provenance
from reports.regimes import regimes, single_image
from reports.results import Results
from reports.split import split
from reports.tables import Table, all_tables

NEW = ("floor_seconds", "flops", "dtype", "peak_memory_mb")


def results_of(project: Path, rows: list[dict[str, Any]], settings: dict[str, Any] | None = None) -> Results:
    root = project / "results" / "made-up"
    made_up.write_json(root / "speed.json", rows)
    return Results(root, "made-up", made_up.settings() if settings is None else settings)


def pair(teacher: dict[str, Any], student: dict[str, Any]) -> list[dict[str, Any]]:
    """A teacher of 30 s and a student of 1 s, with changes."""
    return [
        made_up.speed_row("teacher-100", 1, "eager", 30.0, 100) | teacher,
        made_up.speed_row("marval", 1, "eager", 1.0, 1) | student,
    ]


def tables_of(results: Results) -> dict[str, Table]:
    return all_tables(results, Paper(), Provenance(results))


def test_the_real_size_is_told_from_the_kept_run() -> None:
    """MAR-B's whole image at batch 1, our reference sampler against its own single step."""
    kept = json.loads((Path(real_size.__file__).parent / real_size.FILE).read_text())
    assert (kept["preset"], kept["ar_steps"], kept["batch"]) == ("imagenet256-base", 64, 1)
    seconds = {name: sampler["least_seconds"] for name, sampler in kept["samplers"].items()}
    times = seconds["reference sampler"] / seconds["reference sampler, one step"]
    assert f"That is {times:.1f} times as fast, not 33.00 times." in real_size.at_real_size(33.0)
    assert seconds["reference sampler"] <= seconds["published code"]


@pytest.mark.parametrize(
    "change",
    [
        {"mode": "optimised"},
        {"dtype": "bfloat16"},
        {"batch": 16},
        {"ar_steps": 4},
        {"device": "cuda"},
        {"model": "MAR-H"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_only_like_is_compared_with_like(tmp_path: Path, change: dict[str, Any]) -> None:
    assert len(regimes(results_of(tmp_path, pair({}, {})), 100)) == 1
    assert regimes(results_of(tmp_path, pair({"model": "MAR-B"}, {"model": "MAR-B"} | change)), 100) == []


def test_a_speed_up_is_the_product_of_its_factors(tmp_path: Path) -> None:
    counts = {"flops": 15e12, "floor_seconds": 0.12}, {"flops": 6e12, "floor_seconds": 0.008}
    (regime,) = regimes(results_of(tmp_path, pair(*counts)), 100)
    assert regime.arithmetic == pytest.approx(2.5)
    assert regime.traffic == pytest.approx(15 / 2.5)
    assert regime.overhead == pytest.approx(30 / 15)
    assert split(regime) == (
        "Of the 30.00 times (batch 1, eager, 8 AR steps), a factor of 2.50 is arithmetic (15.00 TFLOP an image against "
        "6.00 TFLOP), 6.00 is weights that large batches would share, and 2.00 is launches and waiting (the teacher runs at "
        "0.40% of its floor's "
        "speed, the student at 0.80%)."
    )


@pytest.mark.parametrize(
    ("teacher", "student", "words"),
    [
        ({"flops": None, "floor_seconds": 10.0}, {"flops": None, "floor_seconds": 1.0}, "10.00 is arithmetic, and 3.00 is"),
        ({"flops": 5e12, "floor_seconds": None}, {"flops": 1e12, "floor_seconds": None}, "and 6.00 is launches and waiting."),
        ({"floor_seconds": 12.0, "flops": 6e9}, {"floor_seconds": 0.2, "flops": 1e8}, "waiting take a factor of 2.00 back"),
    ],
    ids=["floors alone", "FLOPs alone", "overhead on the student's side"],
)  # fmt: skip
def test_the_split_says_what_is_known(
    tmp_path: Path, teacher: dict[str, Any], student: dict[str, Any], words: str
) -> None:
    (regime,) = regimes(results_of(tmp_path, pair(teacher, student)), 100)
    assert words in split(regime)
    assert "weights" not in split(regime)


def test_files_without_floors_and_second_mode_still_make_a_report(tmp_path: Path) -> None:
    rows = [{k: v for k, v in row.items() if k not in NEW} for row in pair({}, {})]
    results = results_of(tmp_path, rows)
    tables, figures = tables_of(results), all_figures(results, Paper())
    assert "roofline" not in tables
    assert "arithmetic" not in tables["speedups"].frame.columns
    assert split(regimes(results, 100)[0]) == ""
    assert {"speedup-regimes", "component-shares"} <= set(figures)


def test_rows_without_a_time_are_told_and_not_drawn(tmp_path: Path) -> None:
    reason = {
        "model": "MAR-H",
        "variant": "teacher-100",
        "batch": 256,
        "mode": "eager",
        "skipped": "out of memory",
    }
    results = results_of(tmp_path, [*pair({}, {}), reason])
    assert len(results.speed) == 2
    assert tables_of(results)["timings"].notes[-1] == (
        "teacher-100, batch 256, eager (MAR-H): not timed, out of memory."
    )
    assert read_speed(results.root / "speed.json")[1][0].batch == 256


def test_achieved_speed_and_share_of_the_floor(tmp_path: Path) -> None:
    counts = {"flops": 15e12, "floor_seconds": 0.12}, {"flops": 6e12, "floor_seconds": 0.008}
    table = tables_of(results_of(tmp_path, pair(*counts)))["roofline"]
    row = dict(zip(table.frame.columns, table.rows[0], strict=True))
    assert row["teacher: TFLOP/s"].text == "0.500"
    assert row["student: TFLOP/s"].text == "6.00"
    assert row["teacher: share of it, %"].text == "0.400"
    assert row["student: floor, ms/image"].text == "8.00"


def test_what_every_row_says_is_said_once(tmp_path: Path) -> None:
    rows = [row | {"batch": batch} for batch in (1, 16) for row in pair({}, {})]
    table = tables_of(results_of(tmp_path, rows))["speedups"]
    assert not {"device", "numbers", "AR steps"} & set(table.frame.columns)
    assert table.notes[0] == "The same in every row: device: cpu; numbers: float32; AR steps: 8."


def test_quality_against_seconds_takes_one_mode_of_one_machine(tmp_path: Path) -> None:
    rows = [
        *pair({"seconds_per_image": 3.0, "device": "cuda"}, {"seconds_per_image": 0.1, "device": "cuda"}),
        *pair({"mode": "optimised", "device": "cuda"}, {"seconds_per_image": 0.01, "mode": "optimised"}),
        made_up.speed_row("teacher-8", 1, "eager", 2.0, 8),
    ]
    results = results_of(tmp_path, rows)
    taken = {v: single_image(results, v) for v in ("teacher-100", "marval", "teacher-8")}
    assert [row and row.estimate.value for row in taken.values()] == [3.0, 0.1, None]


def test_a_variant_of_the_same_steps_has_the_same_time(tmp_path: Path) -> None:
    results = results_of(tmp_path, pair({}, {}))
    borrowed = {v: single_image(results, v) for v in ("marval-rl", "marval-k4", "marval-raster", "teacher-1")}
    assert [row and row.variant for row in borrowed.values()] == ["marval", None, None, None]


@pytest.mark.parametrize("energy", [None, 52_000.0])
def test_energy_is_shown_where_it_was_measured(project: Path, energy: float | None) -> None:
    file = project / "results/made-up/records/speed.json"
    file.write_text(
        json.dumps(json.loads(next(file.parent.glob("speed*.json")).read_text()) | {"energy_joules": energy})
    )
    results = made_up.opened(project)
    tables = tables_of(results)
    for table in (tables["stages"], tables["stage-kinds"]):
        assert ("energy, kJ" in table.frame.columns) == (energy is not None)


# --- a preset without data ------------------------------------------------------------------------


@pytest.fixture
def latency(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """results/latency with speed.json and a record, nothing else."""
    root = tmp_path / "results" / "latency"
    where = {"device": "NVIDIA H100", "ar_steps": 64}
    kinds = (("teacher-100", 4.0, 100), ("marval", 0.1, 1))
    rows = [
        made_up.speed_row(kind, batch, mode, seconds * times / batch, steps, f"mar-{size}") | where
        for size, times in {"huge": 4.0, "base": 1.0, "large": 2.0}.items()
        for batch in (1, 64)
        for mode in ("eager", "optimised")
        for kind, seconds, steps in kinds
    ]
    made_up.write_json(root / "speed.json", rows)
    made_up.record("speed", root, ["speed.json"], 60.0)
    record = json.loads((root / "records/speed.json").read_text())
    record |= {"energy_joules": 9000.0}
    made_up.write_json(root / "records/speed.json", record)
    variants = {
        "teacher-100": {"role": "teacher", "diffusion_steps": 100, "guidance": 2.9},
        "marval": {"role": "student", "diffusion_steps": 1, "guidance": 1.0},
    }
    made_up.write_json(root / "settings.json", {"name": "latency", "latency": {"variants": variants}})
    monkeypatch.chdir(tmp_path)
    return root


@pytest.mark.slow
def test_a_preset_without_data_reports_time_alone(latency: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["latency"]) == 0
    assert "note:" not in capsys.readouterr().out  # nothing is missing that could be there
    verdicts = {
        row["id"]: (row["verdict"], row["scope"]) for row in json.loads((latency / "claims.json").read_text())
    }
    assert verdicts.pop("C2") == ("reproduced", "full")
    assert set(verdicts.values()) == {("not attempted", "proxy")}
    page = (latency / "report.html").read_text()
    assert "Missing or damaged" not in page
    assert "NVIDIA H100" in page
    assert "9.00 kJ" in page
    wanted = {
        "table1-time",
        "full-scale",
        "paper",
        "rivals",
        "speedups",
        "timings",
        "roofline",
        "shares",
        "stage-kinds",
        "stages",
    }
    assert {path.stem for path in (latency / "tables").glob("*.csv")} == wanted
    figures = {path.stem for path in (latency / "figures").glob("*.svg")}
    assert figures == {"speedup-regimes", "time-by-batch", "component-shares"}


def test_the_time_column_has_every_size_beside_the_papers(latency: Path) -> None:
    results = Results.open("latency", latency)
    table = tables_of(results)["table1-time"]
    rows = {row[0]: dict(zip(table.frame.columns, row, strict=True)) for row in table.rows}
    assert list(rows) == ["MAR-B", "MARVAL-B", "MAR-L", "MARVAL-L", "MAR-H", "MARVAL-H"]
    assert rows["MAR-H"]["seconds/image"].text == "16.00"
    assert rows["MAR-H"]["paper seconds/image"].text == "30.98"
    assert rows["MARVAL-H"]["paper speed-up"].text == "18.55"
    assert rows["MARVAL-B"]["speed-up"].text == "40.00"


@pytest.mark.slow
def test_a_reduced_version_says_so_and_stands_beside_no_row_of_the_paper(latency: Path) -> None:
    note = "reduced: MAR-B on 8x8 tokens"
    rows = [
        row | {"model": "mar-base-reduced", "device": "cpu", "note": note}
        for row in json.loads((latency / "speed.json").read_text())
        if row["model"] == "mar-base"
    ]
    made_up.write_json(latency / "speed.json", rows)
    for path in (latency / "records").iterdir():  # as a run that measured this would have left them
        made_up.write_json(path, json.loads(path.read_text()) | {"outputs": {}})
    assert main(["latency"]) == 0
    page = (latency / "report.html").read_text()
    assert page.count(note) == 1
    assert not (latency / "tables/table1-time.csv").exists()
    claim = json.loads((latency / "claims.json").read_text())[1]
    assert (claim["id"], claim["scope"]) == ("C2", "proxy")


def test_the_full_scale_commands_fill_what_a_preset_leaves_open(latency: Path, complete: Path) -> None:
    here = tables_of(Results.open("latency", latency))["full-scale"]
    digits = tables_of(made_up.opened(complete))["full-scale"]
    commands = [row[0] for row in digits.rows]
    assert commands[-1] == "make reproduce PRESET=latency"
    assert [row[0] for row in here.rows] == commands[:-1]
    filled = " ".join(row[1] for row in digits.rows)
    for part in (
        "MAR-B, MARVAL-B",
        "MAR-L, MARVAL-L",
        "MARVAL-H, distilled + RL",
        "w = 1, w = 1.2",
        "seconds/image",
    ):
        assert part in filled


def test_labels_of_the_speed_up_figure_stand_beside_the_axes(latency: Path) -> None:
    """The numbers are in a column right of the plot, where neither the bound nor an interval can run through them."""
    with style():
        figure = drawn(regimes(Results.open("latency", latency), 100), Paper())
        FigureCanvasAgg(figure).draw()
    gaps = [
        text.get_window_extent().x0 - axes.get_window_extent().x1
        for axes in figure.axes
        for text in axes.texts
    ]
    assert len(gaps) == 12
    assert min(gaps) > 0


def test_every_row_of_the_papers_own_table_names_its_command(complete: Path) -> None:
    table = tables_of(made_up.opened(complete))["paper"]
    for row in table.rows:
        assert bool(re.match("make reproduce PRESET=imagenet256-(base|large|huge)$", row[-1])) == row[
            0
        ].startswith("MAR")
