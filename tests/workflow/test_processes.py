"""Stage commands in several processes, as on a machine with several GPUs."""

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _two_processes(monkeypatch):
    monkeypatch.setenv("MARVAL_PROCESSES", "2")


def test_two_processes_draw_the_same_images(copy):
    samples = copy.path / "results/smoke/samples/teacher-4.npz"
    alone = samples.read_bytes()
    samples.unlink()
    copy.marval("sample", "smoke", "--variant", "teacher-4")
    assert samples.read_bytes() == alone
    assert not list((copy.path / "runs").rglob("*.npy")), "a finished stage leaves no batches behind"


@pytest.mark.long
def test_mistake_in_training_is_one_line(copy):
    copy.replace("workflow/presets/smoke.yaml", "lr: 2.0e-3, betas", "lr: 1.0, betas")
    copy.marval("settings", "smoke")
    done = copy.marval("teacher", "smoke", "--seed", "0", check=False)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("marval: error: ")]
    assert "teacher@smoke-0: loss_" in line


@pytest.mark.long
def test_a_stage_by_torchrun_is_taken_over_by_dvc(copy):
    """As on several nodes, where DVC cannot start it."""
    weights = copy.path / "results/smoke/models/marval/seed-0.safetensors"
    weights.unlink()
    stage = ["distill", "smoke", "--variant", "marval", "--seed", "0"]
    copy.run("torchrun", "--standalone", "--nproc-per-node", "2", "-m", "marval", *stage)
    assert weights.is_file()
    assert not list((copy.path / "runs").rglob("*.pt"))
    copy.run("dvc", "commit", "--force", "distill@smoke-marval-0")
    assert "up to date" in copy.run("dvc", "status", "distill@smoke-marval-0").stdout
