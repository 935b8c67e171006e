"""Killed at any point and started again, a run ends with the same results, bit for bit, and leaves nothing behind."""

import contextlib
import json
import logging
import os
import random
import select
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
import yaml
from extent import WHOLE, time_left
from test_damage import content, differing, one_error

pytestmark = [pytest.mark.slow, pytest.mark.long]
# stages that a small run makes again, with what follows from them taken from DVC's memory; nothing of it in a whole run
AGAIN = ["distill@smoke-marval-0", "reinforce@smoke-marval-rl-0", "evaluate@smoke-marval"]
LOG = logging.getLogger(__name__)
SIGNALS = [signal.SIGKILL, signal.SIGINT, signal.SIGTERM]
PATIENCE = 600  # seconds: nothing is timed here, and nothing hangs


def recorded(checkout) -> dict:
    """The content of dvc.lock."""
    return yaml.load((checkout.path / "dvc.lock").read_text(), Loader=yaml.CSafeLoader)


def forget(checkout, addresses) -> None:
    """Remove the outputs of stages, and what DVC remembers of them."""
    known = recorded(checkout)
    gone = [known["stages"].pop(address) for address in addresses]
    for out in (out for entry in gone for out in entry["outs"]):
        subprocess.run(["rm", "-rf", checkout.path / out["path"]], check=True)
    (checkout.path / "dvc.lock").write_text(yaml.dump(known, Dumper=yaml.CSafeDumper))
    for run in filter(Path.is_file, (checkout.path / ".dvc/cache/runs").rglob("*")):
        if yaml.load(run.read_text(), Loader=yaml.CSafeLoader)["cmd"] in [entry["cmd"] for entry in gone]:
            run.unlink()


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
                try:
                    process.communicate(timeout=PATIENCE)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    raise
    return running


class Runs:
    """How often each stage has done its work in a checkout: what DVC has recorded is never done again."""

    def __init__(self, checkout) -> None:
        self._checkout = checkout
        self._recorded: dict[str, int] = {}

    def note(self) -> None:
        """After a run: what is recorded now."""
        with contextlib.suppress(
            yaml.YAMLError, TypeError, FileNotFoundError
        ):  # cut off by the kill, or not there yet
            for address in recorded(self._checkout)["stages"]:
                self._recorded.setdefault(address, self._done(address))

    def forget(self, addresses) -> None:
        forget(self._checkout, addresses)
        self._recorded.clear()

    def twice(self) -> list[str]:
        """The stages that have worked again although nothing of theirs had changed."""
        return [address for address, before in self._recorded.items() if self._done(address) > before]

    def _done(self, address: str) -> int:
        log = self._checkout.path / f"logs/{address.replace('@', '/')}.log"
        return (
            sum(line.endswith(" INFO done") for line in log.read_text().splitlines()) if log.exists() else 0
        )


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
            try:
                ended, _, _ = select.select([descriptor], [], [], PATIENCE)
            finally:
                os.close(descriptor)
            assert ended, f"process {pid} outlives its run"


def check_end(checkout, expected) -> None:
    """The results of an uninterrupted run, nobody at work, and no unfinished file."""
    done = checkout.run("snakemake", check=False)
    assert done.returncode == 0, done.stderr
    assert differing(checkout, expected) == []
    assert "up to date" in checkout.run("dvc", "status").stdout
    await_end(checkout.path)
    assert not [p for p in (checkout.path / "results").rglob(".*") if p.name != ".snakemake_timestamp"]
    assert not list((checkout.path / "runs").rglob("*.pt"))
    assert not list((checkout.path / ".snakemake").glob("warm-*.socket"))


# a round: kills before anything of the workflow has been read, and kills later
AT_START, LATER = (3, 18) if WHOLE else (1, 2)
ROUNDS = 10 if WHOLE else 1


@pytest.mark.parametrize("turn", range(ROUNDS))
def test_killed_runs_go_on(finished, fresh, tmp_path, tried, turn):
    """By each signal, at any moment; a whole run from nothing, or a few stages of one."""
    draw, expected = random.Random(turn), content(finished)
    checkout = (fresh if WHOLE else finished).copy(tmp_path / "marval")
    runs = Runs(checkout)
    if not WHOLE:
        runs.forget(AGAIN)
    runs.note()
    plans = [(0, draw.uniform(0, 6)) for _ in range(AT_START)]
    plans += [(draw.randint(3, 40), draw.uniform(0, 3)) for _ in range(LATER)]
    draw.shuffle(plans)
    kills: Counter[str] = Counter()
    while plans and time_left():
        lines, pause = plans[-1]
        number = draw.choice(SIGNALS)
        killed = interrupt(checkout, number, lines, pause)
        LOG.info(
            "round %s, %s left: %s after %s lines and %.1f s, %s",
            turn,
            len(plans),
            number.name,
            lines,
            pause,
            killed,
        )
        await_end(checkout.path)
        if killed:
            plans.pop()
            kills[f"kills {'later' if lines else 'at start-up'}, {number.name}"] += 1
        else:  # it was through before its end came
            check_end(checkout, expected)
            assert not runs.twice()
            runs.forget(AGAIN)
        runs.note()  # what is recorded by now
    check_end(checkout, expected)
    assert not runs.twice()
    tried.update(kills)
    tried["runs that went on after kills"] += 1


def test_a_cut_off_list_of_files_in_use_is_dropped(copy, tried):
    path = copy.path / ".dvc/tmp/rwlock"
    for wrong in (b"", b"{", b"\xff", b"[]"):
        path.write_bytes(wrong)
        (copy.path / "results/smoke/scores/marval.json").unlink()
        done = copy.run("snakemake")
        assert done.stderr.count("marval: .dvc/tmp/rwlock was cut off by a kill, and is removed") == 1
        assert (copy.path / "results/smoke/scores/marval.json").is_file()
        tried["damaged files of the machinery"] += 1


def test_what_a_gone_process_used_is_free(copy, tried):
    """One that was killed and that nobody has waited for, and one whose number another process has now."""
    path, output = copy.path / ".dvc/tmp/rwlock", copy.path / "results/smoke/scores/marval.json"
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
        for pid, age in ((ended.pid, 0), (os.getpid(), 10**6)):
            user = {"pid": pid, "cmd": "dvc repro"}
            path.write_text(json.dumps({"write": {str(output): user}, "read": {str(copy.path): [user]}}))
            os.utime(path, (time.time() - age,) * 2)
            output.unlink()
            copy.run("snakemake")
            assert output.is_file()
            tried["files in use by processes that are gone"] += 1
    user = {"pid": os.getpid(), "cmd": "dvc repro"}  # this one is alive, and older than the list
    path.write_text(json.dumps({"write": {str(output): user}, "read": {}}))
    output.unlink()
    assert "is busy" in copy.run("snakemake", check=False).stderr
    path.unlink()


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
