"""Killed at any point and started again, a run ends with the same results, bit for bit, and leaves nothing behind."""

import contextlib
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from test_damage import content, one_error

pytestmark = [pytest.mark.slow, pytest.mark.long]
# stages that a small run makes again, with what follows from them taken from DVC's memory; nothing of it in a whole run
AGAIN = ["distill@smoke-marval-0", "reinforce@smoke-marval-rl-0", "evaluate@smoke-marval"]
SIGNALS = [signal.SIGKILL, signal.SIGINT, signal.SIGTERM]


def forget(checkout, addresses) -> None:
    """Remove the outputs of stages, and what DVC remembers of them."""
    lock = checkout.path / "dvc.lock"
    known = yaml.safe_load(lock.read_text())
    for address in addresses:
        for out in known["stages"].pop(address)["outs"]:
            path = checkout.path / out["path"]
            subprocess.run(["rm", "-rf", path], check=True)
    lock.write_text(yaml.safe_dump(known))
    subprocess.run(["rm", "-rf", checkout.path / ".dvc/cache/runs"], check=True)


def interrupt(checkout, number: signal.Signals, lines: int, pause: float) -> bool:
    """Start a run and end it by a signal after so many lines and seconds; whether it had not ended by itself."""
    environment = checkout.environment()
    environment.pop("MARVAL_WARM")  # its own, which has to end with it
    with subprocess.Popen(
        ["snakemake"], cwd=checkout.path, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        try:
            for _ in range(lines):
                process.stderr.readline()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(pause)
            running = process.poll() is None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            if number == signal.SIGKILL:
                process.stderr.close()
            else:
                process.communicate(timeout=120)
    return running


def processes_in(folder: Path) -> list[int]:
    """Those that work there."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            if Path(os.readlink(entry / "cwd")).is_relative_to(folder):
                found.append(int(entry.name))
    return found


def await_end(folder: Path) -> None:
    """Until nothing works there any more; the warm process looks every two seconds whether it is still wanted."""
    for pid in processes_in(folder):
        with contextlib.suppress(ProcessLookupError):
            descriptor = os.pidfd_open(pid)
            import select

            ended, _, _ = select.select([descriptor], [], [], 60)
            os.close(descriptor)
            assert ended, f"process {pid} outlives its run"


def check_end(checkout, expected) -> None:
    """The results of an uninterrupted run, nobody at work, and no unfinished file."""
    done = checkout.run("snakemake", check=False)
    assert done.returncode == 0, done.stderr
    assert content(checkout) == expected
    assert "up to date" in checkout.run("dvc", "status").stdout
    await_end(checkout.path)
    assert not [p for p in (checkout.path / "results").rglob(".*") if p.name != ".snakemake_timestamp"]
    assert not list((checkout.path / "runs").rglob("*.pt"))
    assert not list((checkout.path / ".snakemake").glob("warm-*.socket"))


def test_killed_runs_go_on(finished, fresh, tmp_path, tried, whole):
    """At start-up and later, by each signal; a whole run from nothing, or a few stages of one."""
    draw, expected = random.Random(0), content(finished)
    rounds, at_start, later = (6, 4, 32) if whole else (1, 1, 2)
    for turn in range(rounds):
        checkout = (fresh if whole else finished).copy(tmp_path / f"{turn}")
        if not whole:
            forget(checkout, AGAIN)
        plans = [(0, draw.uniform(0, 6)) for _ in range(at_start)]
        plans += [(draw.randint(5, 15), draw.uniform(0, 6)) for _ in range(later)]
        for lines, pause in plans:
            number = draw.choice(SIGNALS)
            if interrupt(checkout, number, lines, pause):
                tried[f"kills {'at start-up' if lines == 0 else 'later'}, {number.name}"] += 1
            await_end(checkout.path)
        check_end(checkout, expected)


def test_a_cut_off_list_of_files_in_use_is_dropped(copy, tried):
    path = copy.path / ".dvc/tmp/rwlock"
    for wrong in (b"", b"{", b"\xff", b"[]"):
        path.write_bytes(wrong)
        (copy.path / "results/smoke/scores/marval.json").unlink()
        done = copy.run("snakemake")
        assert done.stderr.count("marval: .dvc/tmp/rwlock was cut off by a kill, and is removed") == 1
        assert (copy.path / "results/smoke/scores/marval.json").is_file()
        tried["damaged files of the machinery"] += 1


HOLDER = """
import sys
from marval.pipeline import start
claim = start.claim()
print("ready", flush=True)
sys.stdin.read()
"""


def test_a_second_run_says_who_is_at_work(copy, tried):
    (copy.path / "results/smoke/scores/marval.json").unlink()
    stale = copy.path / ".snakemake/warm-1.socket"
    stale.touch()
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER],
        cwd=copy.path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as first:
        try:
            assert first.stdout is not None
            assert first.stdout.readline() == "ready\n"
            line = one_error(copy.run("snakemake", check=False))
            assert f"another run is at work in {copy.path} (process {first.pid}, since 20" in line
            assert "start this one again when that one has ended" in line
            assert copy.run("snakemake", "-n").returncode == 0
            assert stale.exists()
        finally:
            first.kill()
    copy.run("snakemake")
    assert not stale.exists()
    tried["two runs at once"] += 1
