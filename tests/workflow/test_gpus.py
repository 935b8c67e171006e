"""GPUs are dealt out to stages that run side by side: devices by name, no GPU needed."""

import subprocess
import sys

import pytest


@pytest.fixture
def gpus(root, tmp_path, monkeypatch):
    """Starts a command that gets so many of the devices 0 and 1; the command ends when its input does."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("MARVAL_GPUS", "0,1")
    monkeypatch.setenv("PYTHONPATH", str(root))
    started = []

    def start(count):
        command = ["sh", "-c", "echo $CUDA_VISIBLE_DEVICES; cat"]
        process = subprocess.Popen(
            [sys.executable, "-m", "marval.processes.gpus", str(count), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def devices(process):
    return process.stdout.readline().strip()


def test_stages_side_by_side_get_different_gpus(gpus):
    first, second = gpus(1), gpus(1)
    assert {devices(first), devices(second)} == {"0", "1"}


def test_a_stage_waits_for_as_many_gpus_as_it_wants(gpus):
    first = gpus(1)
    assert devices(first) == "0"
    both = gpus(2)
    first.stdin.close()
    assert devices(both) == "0,1"


def test_no_more_gpus_are_waited_for_than_there_are(gpus):
    assert devices(gpus(8)) == "0,1"
