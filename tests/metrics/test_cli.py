"""python -m metrics, as a user runs it."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from metrics import UserError, calibrate, distances
from metrics.cli import run
from metrics.judges.base import Judge
from metrics.judges.cnn import Cnn
from metrics.samples import Samples


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, held_out: Samples, cnn: Cnn, clip: Judge) -> Path:
    """A judge, a scorer, a real and two sample batches, and the statistics that the command made."""
    folder = tmp_path_factory.mktemp("cli")
    cnn.save(folder / "cnn")
    clip.save(folder / "clip")
    parts = {"real": slice(0, 400), "a": slice(400, 600), "b": slice(597, 797)}
    for name, part in parts.items():
        assert held_out.labels is not None
        np.savez(folder / f"{name}.npz", arr_0=held_out.images[part], arr_1=held_out.labels[part])
    assert (
        run(f"statistics {folder}/real.npz --judge {folder}/cnn.json -o {folder}/real-stats.npz".split()) == 0
    )
    return folder


def evaluate(folder: Path, name: str, more: str = "") -> int:
    command = f"evaluate {folder}/{name}.npz --reference {folder}/real-stats.npz --judge {folder}/cnn.json"
    return run(f"{command} -o {folder}/{name}.json {more}".split())


@pytest.mark.slow
def test_evaluate_writes_rows_and_the_scores_of_each_image(
    folder: Path, capsys: pytest.CaptureFixture
) -> None:
    assert evaluate(folder, "a", f"--scorer judge={folder}/clip.json --cache {folder}/cache") == 0
    rows = {row["metric"]: row for row in json.loads((folder / "a.json").read_text())}
    assert "frechet_distance" in capsys.readouterr().out
    with np.load(folder / "a.scores.npz") as file:
        cosines = file["digits-clip"]
    assert cosines.dtype == np.float32
    assert cosines.shape == (200,)
    assert rows["clip_score"]["value"] == pytest.approx(100 * cosines.mean(), rel=1e-5)
    assert len(list((folder / "cache").glob("*.npz"))) == 1


@pytest.mark.slow
def test_compare_says_inconclusive_and_refuses_another_order(
    folder: Path, capsys: pytest.CaptureFixture
) -> None:
    assert evaluate(folder, "a") == evaluate(folder, "b") == 0
    assert run([*["compare"], f"{folder}/a.json", f"{folder}/b.json"]) == 0
    assert "inconclusive" in capsys.readouterr().out
    assert evaluate(folder, "b", "--order as-given") == 0
    with pytest.raises(UserError, match="order shuffled-2020 and as-given"):
        run(["compare", f"{folder}/a.json", f"{folder}/b.json"])


def test_calibrate_passes_and_fails_with_a_wrong_metric(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    assert run(["calibrate"]) == 0
    assert "FAILED" not in capsys.readouterr().out
    right = distances.frechet_distance
    monkeypatch.setattr(distances, "frechet_distance", lambda *arguments: right(*arguments) ** 0.5)
    assert any(not case.passed for case in calibrate.embedded_cases())
    assert run(["calibrate"]) == 1


@pytest.mark.slow
def test_published_calibration_measures_the_batch_that_it_is_given(
    folder: Path, cnn: Cnn, tmp_path: Path
) -> None:
    with np.load(folder / "real-stats.npz") as known, np.load(folder / "real.npz") as real:
        np.savez(tmp_path / "adm.npz", mu=known["mu"], sigma=known["sigma"], arr_0=real["arr_0"])
        np.savez(tmp_path / "mar.npz", mu=known["mu"], sigma=known["sigma"])
    assert evaluate(folder, "a", "--order as-given") == 0
    rows = {row["metric"]: row["value"] for row in json.loads((folder / "a.json").read_text())}
    cases = {case.name: case for case in calibrate.adm_cases(folder / "a.npz", tmp_path / "adm.npz", cnn)}
    for metric in ("inception_score", "frechet_distance", "precision", "recall"):
        assert cases[f"ADM's batch, {metric}"].got == pytest.approx(rows[metric], rel=1e-6)
        assert not cases[f"ADM's batch, {metric}"].passed
    assert len(calibrate.adm_cases(folder / "a.npz", tmp_path / "mar.npz", cnn)) == 2


@pytest.mark.slow
def test_user_errors_are_one_line_and_status_2(folder: Path) -> None:
    command = (
        f"-m metrics evaluate {folder}/none.npz --reference {folder}/real-stats.npz --judge {folder}/cnn.json"
    )
    done = subprocess.run([sys.executable, *command.split()], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.strip().splitlines() == [done.stderr.strip()]
    assert done.stderr.startswith("metrics: error: ")
    assert "none.npz: no such file" in done.stderr


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("--scorer clip-l=w.pt", "needs --classes"),
        ("--scorer oracle=w.pt", "write KIND=PATH"),
        ("--scorer judge={folder}/cnn.json", "does not score prompts"),
    ],
)
def test_scorers_are_checked_first(folder: Path, more: str, told: str) -> None:
    with pytest.raises(UserError, match=told):
        evaluate(folder, "a", more.format(folder=folder))


@pytest.mark.slow
def test_missing_weights_say_where_to_get_them(folder: Path) -> None:
    (folder / "classes.json").write_text('["a", "b"]')
    with pytest.raises(UserError, match=r"the Inception weights not found: get it from https://"):
        run(f"statistics {folder}/real.npz --judge {folder}/inception.pth -o {folder}/s.npz".split())
    for kind in ("clip-l", "clip-b", "image-reward", "pick-score"):
        with pytest.raises(UserError, match=r"not found: get it from https://"):
            evaluate(folder, "a", f"--scorer {kind}={folder}/nothing --classes {folder}/classes.json")
    with pytest.raises(UserError, match="needs all of"):
        run(["calibrate", "--adm-batch", "x.npz"])


def test_too_few_images_for_the_features_is_a_warning(folder: Path) -> None:
    with np.load(folder / "a.npz") as file:
        np.savez(folder / "few.npz", arr_0=file["arr_0"][:30], arr_1=file["arr_1"][:30])
    with pytest.warns(UserWarning, match="30 images for 32 features"):
        evaluate(folder, "few")
