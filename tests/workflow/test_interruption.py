"""Killed and started again, a stage goes on from its checkpoint and gives the very same weights."""

import json
import os
import shutil
import signal

import pytest

pytestmark = pytest.mark.slow

# the kinds that `make test` looks at: a training by one network, and one by two; the others are long ones
STAGES = {
    "teacher smoke --seed 0": "models/teacher/seed-0.safetensors",
    "distill smoke --variant marval --seed 0": "models/marval/seed-0.safetensors",
    "tokenizer smoke": "models/tokenizer.safetensors",
    "judges smoke": "judges/cnn.safetensors",
    "reinforce smoke --variant marval-rl --seed 0": "models/marval-rl/seed-0.safetensors",
}


@pytest.mark.parametrize(
    "command",
    [pytest.param(s, marks=[pytest.mark.long] if n > 1 else []) for n, s in enumerate(STAGES)],
)
def test_killed_stage_resumes_to_equal_weights(copy, command):
    weights = copy.path / "results/smoke" / STAGES[command]
    uninterrupted = weights.read_bytes()
    weights.unlink()
    killed = copy.marval(*command.split(), check=False, FATAL_SIGNAL="SIGKILL")
    assert killed.returncode == 128 + signal.SIGKILL
    assert not weights.exists()
    copy.marval(*command.split())
    assert weights.read_bytes() == uninterrupted
    log = next((copy.path / "logs" / command.split()[0]).glob("*.log")).read_text()
    assert "resuming from" in log
    assert not list((copy.path / "runs").rglob("*.pt")), "a finished stage leaves no checkpoint"


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_an_interruption_is_one_line(copy, number):
    """By Ctrl-C, and by a cluster at the end of a job's hours."""
    stopped = copy.marval("teacher", "smoke", "--seed", "0", check=False, FATAL_SIGNAL=number)
    assert stopped.returncode == 130
    assert "Traceback" not in stopped.stderr
    assert stopped.stderr.strip().endswith(
        "marval: teacher: interrupted; the same command goes on from the last checkpoint"
    )


def test_seconds_before_a_job_ended_count(copy):
    """A record's seconds are those of all jobs that a training took."""
    copy.marval("teacher", "smoke", "--seed", "0", check=False, FATAL_SIGNAL="SIGTERM")
    (noted,) = (copy.path / "runs/smoke/teacher@smoke-0").rglob("seconds.json")
    assert 0 < float(noted.read_text()) < 1_000_000
    noted.write_text("1000000")
    copy.marval("teacher", "smoke", "--seed", "0")
    record = json.loads((copy.path / "results/smoke/records/teacher-s0.json").read_text())
    assert record["wall_seconds"] > 1_000_000


def test_sigterm_while_jobs_are_selected_ends_the_run(copy):
    (copy.path / "results/smoke/scores/marval.json").unlink()
    with copy.start("snakemake") as run:
        assert run.stderr is not None
        assert any(line.startswith("Select jobs") for line in run.stderr)
        os.killpg(run.pid, signal.SIGTERM)
        run.communicate()
    assert run.returncode != 0
    copy.run("snakemake")
    assert (copy.path / "results/smoke/scores/marval.json").is_file()


def test_a_checkpoint_of_other_settings_is_not_resumed(copy):
    copy.marval("teacher", "smoke", "--seed", "0", check=False, FATAL_SIGNAL="SIGKILL")
    copy.replace("workflow/presets/smoke.yaml", "label_drop: 0.1", "label_drop: 0.2")
    copy.marval("settings", "smoke")
    copy.marval("teacher", "smoke", "--seed", "0")
    assert "resuming" not in (copy.path / "logs/teacher/smoke-0.log").read_text()


@pytest.mark.long
def test_killed_snakemake_goes_on(copy):
    """kill -9 of the whole run in the middle of a stage; the next `snakemake` finishes with the same weights."""
    weights = copy.path / "results/smoke/models/marval/seed-0.safetensors"
    expected = weights.read_bytes()
    forget(copy, "distill@smoke-marval-0")
    with copy.start("snakemake") as process:
        try:
            assert process.stderr is not None
            assert any(line.startswith("distill@smoke-marval-0") for line in process.stderr), (
                "the stage was not started"
            )
        finally:
            os.killpg(process.pid, signal.SIGKILL)
    assert not weights.exists()
    copy.run("snakemake")
    assert weights.read_bytes() == expected
    assert "up to date" in copy.run("dvc", "status").stdout


def forget(checkout, address: str) -> None:
    """Remove a stage's outputs and everything that DVC remembers of it."""
    import yaml

    lock = checkout.path / "dvc.lock"
    content = yaml.safe_load(lock.read_text())
    for out in content["stages"].pop(address)["outs"]:
        path = checkout.path / out["path"]
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    lock.write_text(yaml.safe_dump(content))
    shutil.rmtree(checkout.path / ".dvc/cache/runs")
