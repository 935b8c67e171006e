"""Tables: what each shows, and that HTML, CSV and LaTeX say the same."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import made_up
import pandas as pd
import pytest

from marval.pipeline.hashes import digest
from reports.errors import UserError
from reports.formats import md5
from reports.intervals import Estimate
from reports.paper import Paper
from reports.provenance import Provenance, check_recorded
from reports.tables import Cell, Table, all_tables


@pytest.fixture(scope="module")
def tables(complete: Path) -> dict[str, Table]:
    results = made_up.opened(complete)
    return all_tables(results, Paper(), Provenance(results))


def row(table: Table, header: str) -> dict[str, Cell]:
    return next(dict(zip(table.frame.columns, r, strict=True)) for r in table.rows if r[0] == header)


def test_all_tables_are_there(tables: dict[str, Table]) -> None:
    quality = ["table1", "table2", "table3", "methods", "ablations", "paper", "rivals", "full-scale"]
    speed = ["speedups", "timings", "roofline", "shares"]
    trust = ["training_costs", "stage-kinds", "stages", "hacking", "lag", "judges", "calibration"]
    assert list(tables) == [*quality, *speed, *trust]


def test_table_1_has_every_number_of_steps_and_ours_beside_the_papers(tables: dict[str, Table]) -> None:
    table = tables["table1"]
    assert list(table.frame.iloc[:, 0]) == [
        "real",
        *(f"teacher-{n}" for n in made_up.STEPS),
        "marval",
        "marval-rl",
    ]
    student = row(table, "marval")
    assert student["Fréchet distance (digits-cnn)"].text == "0.900"
    assert student["paper FID"].text == "3.06"
    assert student["paper s/image"].text == "0.61"
    assert student["speed-up"].text == "34.02"
    assert student["parameters, million"].text == "0.400"


def test_evaluations_count_ar_steps_diffusion_steps_and_both_branches_of_guidance(
    tables: dict[str, Table],
) -> None:
    assert row(tables["table1"], "teacher-100")["NFE"].text == "1,600"
    assert row(tables["table1"], "marval")["NFE"].text == "8"


def test_the_best_is_marked_and_real_images_do_not_compete(tables: dict[str, Table]) -> None:
    column = "Fréchet distance (digits-cnn)"
    best = [r[0] for r in tables["table1"].rows if r[list(tables["table1"].frame.columns).index(column)].best]
    assert best == ["teacher-100"]


def test_table_2_separates_the_training_reward_from_unseen_judges(tables: dict[str, Table]) -> None:
    roles = dict(zip(tables["table2"].frame["judge"], tables["table2"].frame["role"], strict=True))
    assert roles == {
        "CLIP score (digits-clip)": "unseen judge",
        "ImageReward (digits-image-reward)": "unseen judge",
        "PickScore (digits-pick-score)": "training reward",
    }
    assert row(tables["table2"], "CLIP score (digits-clip)")["paper gain"].text == "0.45"


def test_table_3_has_the_grid_in_order(tables: dict[str, Table]) -> None:
    assert list(tables["table3"].frame["w"]) == ["1", "1.2", "2", "4"]
    assert row(tables["table3"], "1.2")["paper FID"].best


def test_numbers_say_where_they_come_from(tables: dict[str, Table]) -> None:
    cell = row(tables["table1"], "marval")["Fréchet distance (digits-cnn)"]
    assert cell.source is not None
    assert cell.source.file == "results/made-up/metrics/marval.json"
    for part in ("seeds 0, 1, 2", cell.source.md5, "dvc repro evaluate@made-up-marval", "judge digits-cnn"):
        assert part in cell.title


@pytest.mark.parametrize("name", ["metrics/marval.json", "speed.json"])
def test_a_file_that_changed_after_its_run_is_refused(project: Path, name: str) -> None:
    file = project / "results" / "made-up" / name
    check_recorded(made_up.opened(project))
    file.write_text(file.read_text() + "\n")
    with pytest.raises(
        UserError, match=r"^results/made-up/\S+ is not what \S+ made \(md5 .*: run `snakemake`"
    ):
        check_recorded(made_up.opened(project))


def test_hashes_are_those_of_the_pipeline(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    for name in ("a/z.json", "a/b/x", "a/b/.snakemake_timestamp"):
        (tmp_path / name).write_text(name)
    assert md5(tmp_path / "a") == digest(tmp_path / "a")
    assert md5(tmp_path / "a/z.json") == digest(tmp_path / "a/z.json")


def test_csv_has_full_precision_and_intervals(tables: dict[str, Table]) -> None:
    frame = pd.read_csv(io.StringIO(tables["table3"].to_csv()))
    column = "Fréchet distance (digits-cnn)"
    assert frame.loc[1, column] == pytest.approx(0.9)
    assert frame.loc[1, f"{column}, low"] < 0.9 < frame.loc[1, f"{column}, high"]


def test_latex_escapes_and_sets_the_best_bold() -> None:
    rows = [{"a_b": "x & y", "q": Cell(Estimate(1.0, 0.5, 1.5))}, {"a_b": "50%", "q": Cell(Estimate(2.0))}]
    text = Table.of("t", "100% of_it", rows, {"q": "min"}).to_latex()
    assert r"a\_b" in text
    assert r"x \& y" in text
    assert r"50\%" in text
    assert r"\textbf{1.00} {\scriptsize [0.50, 1.50]}" in text
    assert r"\caption{100\% of\_it}" in text


def test_columns_without_content_go_and_a_lone_value_is_no_best() -> None:
    rows = [
        {"v": "a", "x": Cell(None), "y": Cell(Estimate(1.0))},
        {"v": "b", "x": Cell(None), "y": Cell(None)},
    ]
    table = Table.of("t", "c", rows, {"y": "min"})
    assert list(table.frame.columns) == ["v", "y"]
    assert not any(isinstance(x, Cell) and x.best for r in table.rows for x in r)


def test_costs_stand_beside_the_papers(tables: dict[str, Table]) -> None:
    ours = dict(
        zip(tables["training_costs"].frame["work"], tables["training_costs"].frame["ours"], strict=True)
    )
    assert ours == {"distillation of each size": "34.00 s in 1 run", "reward fine-tuning": "6.50 s in 1 run"}


def test_hacking_table_says_where_the_judges_stop_agreeing(complete: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    shutil.copytree(complete, project)
    results = made_up.opened(project)
    alarm = {"quantity": "clip_score", "step": 15, "reason": "falls below its best"}
    made_up.write_json(
        results.root / "watch/marval-rl-s0.json",
        {"rows": [], "reward": "pick_score", "step": 15, "alarms": [alarm]},
    )
    first, second, _ = all_tables(results, Paper(), Provenance(results))["hacking"].notes
    assert "marval-rl-s0: from step 15 on" in first
    assert "clip_score: falls below its best" in first
    assert "marval-rl-s1: the unseen judges agree" in second
