"""Run times from records: the time during which something ran, whatever ran beside it or paused between."""

import json
from pathlib import Path

import pytest
import yaml

from reports.__main__ import main
from reports.errors import UserError
from reports.times import write_times

MACHINE = {"cpu": "a CPU", "cores": 2, "gpu": None}


def finish(results: Path, preset: str, runs: list[tuple[str, float]]) -> None:
    """Records of stages that started at HH:MM and took so many minutes, and a report."""
    folder = results / preset / "records"
    folder.mkdir(parents=True)
    for number, (start, minutes) in enumerate(runs):
        record = {
            "stage": f"stage-{number}@{preset}",
            "started": f"2026-01-02T{start}:00+00:00",
            "wall_seconds": 60 * minutes,
            "machine": MACHINE,
            "git_commit": "0123456789",
        }
        (folder / f"stage-{number}.json").write_text(json.dumps(record))
    (results / preset / "report.html").write_text("")


def test_side_by_side_counts_once_and_pauses_not_at_all(tmp_path: Path) -> None:
    # 10 minutes with another inside them, 5 more that begin before these end; two hours later, 3
    finish(tmp_path / "results", "one", [("10:00", 10), ("10:02", 4), ("10:08", 5), ("12:30", 3)])
    content = yaml.safe_load(write_times(tmp_path / "results", tmp_path / "times.yaml").read_text())
    assert content == {
        "one": {
            "minutes": 16,
            "stage_minutes": 22,
            "stages": 4,
            "machine": "a CPU, 2 cores",
            "commit": "0123456",
            "date": "2026-01-02",
        }
    }


def test_presets_of_other_machines_stay_and_unfinished_ones_are_left_out(tmp_path: Path) -> None:
    results, output = tmp_path / "results", tmp_path / "times.yaml"
    output.write_text("elsewhere: {minutes: 3}\none: {minutes: 99}\n")
    finish(results, "one", [("10:00", 2)])
    finish(results, "half", [("10:00", 2)])
    (results / "half/report.html").unlink()
    assert main(["times", str(results), "-o", str(output)]) == 0
    content = yaml.safe_load(output.read_text())
    assert content["elsewhere"] == {"minutes": 3}
    assert content["one"]["minutes"] == 2
    assert "half" not in content


def test_without_a_finished_preset_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="make reproduce"):
        write_times(tmp_path, tmp_path / "times.yaml")
