"""A user's mistake gives one clear line and a non-zero status, and leaves nothing half-written."""

import os
import shutil
import subprocess

import pytest

PRESET = "workflow/presets/smoke.yaml"
pytestmark = pytest.mark.slow


def one_line(done) -> str:
    lines = [line for line in done.stderr.splitlines() if line.startswith("marval: error: ")]
    assert done.returncode != 0
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stderr
    return lines[0]


@pytest.fixture
def checkout(fresh, tmp_path):
    return fresh.copy(tmp_path / "marval")


def test_unknown_preset(checkout):
    checkout.replace("params.yaml", "- smoke", "- smoky")
    line = one_line(checkout.run("snakemake", "-n", check=False))
    assert "no preset 'smoky'" in line
    assert "did you mean 'smoke'?" in line


def test_misspelt_parameter(checkout):
    checkout.replace(PRESET, "label_drop: 0.1", "label_dorp: 0.1")
    for command in (["snakemake"], ["python", "-m", "marval", "settings", "smoke"]):
        line = one_line(checkout.run(*command, check=False))
        assert f"{PRESET}: teacher.label_dorp is not a setting; did you mean 'label_drop'?" in line


def test_stale_lists_are_refused_under_bare_dvc(checkout):
    line = "  teacher-4: {role: teacher, model: teacher, diffusion_steps: 4, guidance: 2.0, ar_steps: 4, sets: 2}\n"
    checkout.replace(PRESET, line, "")
    checkout.replace(
        PRESET, "speed:\n  variants: [teacher-100, teacher-4, ", "speed:\n  variants: [teacher-100, "
    )
    checkout.replace(PRESET, "inpaint: {variants: [teacher-4, marval]}\n", "")
    line = one_line(checkout.run("dvc", "repro", "runs", check=False))
    assert "python -m marval runs" in line


def test_missing_input_names_the_command_that_makes_it(checkout):
    line = one_line(checkout.marval("teacher", "smoke", "--seed", "0", check=False))
    assert "results/smoke/latents/train is missing" in line
    assert "dvc repro teacher@smoke-0" in line


def test_settings_of_an_edited_preset_are_refused_by_hand(copy):
    copy.replace(PRESET, "label_drop: 0.1", "label_drop: 0.2")
    line = one_line(copy.marval("teacher", "smoke", "--seed", "0", check=False))
    assert f"results/smoke/settings.json is not what {PRESET} says now" in line
    assert "python -m marval settings smoke" in line


def test_damaged_input_is_named(copy):
    path = copy.path / "results/smoke/latents/train/data-00000-of-00001.arrow"
    path.write_bytes(path.read_bytes()[:100])
    outputs = {p: p.read_bytes() for p in (copy.path / "results/smoke/models/teacher").iterdir()}
    line = one_line(copy.marval("teacher", "smoke", "--seed", "0", check=False))
    assert "results/smoke/latents/train is not what encode@smoke made" in line
    assert {p: p.read_bytes() for p in (copy.path / "results/smoke/models/teacher").iterdir()} == outputs


def test_unwritable_results(checkout):
    (checkout.path / "results").write_text("a file in the way")
    assert "in the way" in one_line(checkout.marval("settings", "smoke", check=False))


def test_wrong_folder(checkout, tmp_path):
    import os
    import sys

    environment = {**os.environ, "PYTHONPATH": str(checkout.path)}
    done = subprocess.run(
        [sys.executable, "-m", "marval", "prepare", "smoke"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert "has no dvc.yaml" in one_line(done)


def test_set_up_refuses_another_system_and_says_the_way_out(checkout, tmp_path):
    fake = tmp_path / "uname"
    fake.write_text("#!/bin/sh\necho Darwin\n")
    fake.chmod(0o755)
    path = os.pathsep.join([str(tmp_path), os.environ["PATH"]])
    done = checkout.run("make", "setup", check=False, PATH=path)
    assert "this is Darwin, and Linux is needed: use the container, docker build" in one_line(done)
    assert not (checkout.path / ".venv").exists()


def test_set_up_refuses_an_old_python_and_a_plain_folder(checkout, tmp_path):
    fake = tmp_path / "python3.9"
    fake.write_text('#!/bin/sh\n[ "$1" = -V ] && echo "Python 3.9.1"\nexit 1\n')
    fake.chmod(0o755)
    assert "is Python 3.9.1: 3.11 or 3.12 is needed" in one_line(
        checkout.run("make", "setup", f"PYTHON={fake}", check=False)
    )
    shutil.rmtree(checkout.path / ".git")
    assert "is not a git checkout" in one_line(checkout.run("make", "setup", check=False))
    assert not (checkout.path / ".venv").exists()
