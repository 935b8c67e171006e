"""Starting a command in several processes: their mistakes are told once, and none outlives the command in charge."""

import contextlib
import os
import select
import signal
import subprocess
import sys

import pytest

from marval import __main__ as command_line
from marval.errors import UserError
from marval.pipeline.preset import stage_processes
from marval.processes import workers

# the second process makes a mistake; the first then fails as one does whose peer is gone: it reads the pipe to its end
MISTAKE = """
import os, sys
from pathlib import Path
from marval.processes import workers
from marval.errors import UserError

workers.die_with_parent()
first, pipe = os.environ["RANK"] == "0", Path(sys.argv[1])
peer = pipe.open("rb" if first else "wb")
if first:
    peer.read()
try:
    raise RuntimeError("connection closed by peer") if first else UserError("lr is 7: lower it")
except Exception as error:
    workers.tell_parent(error)
    peer.close()
    sys.exit(1 if first else 2)
"""
# both workers write to one pipe: a line is one write, whatever buffers Python has
WAITING = """
import os, signal
from marval.processes import workers

workers.die_with_parent()
os.write(1, b"%d\\n" % os.getpid())
signal.pause()
"""
# slow to start: the command in charge is gone before it can ask to end with it
LATE = """
import os, select, signal
from marval.processes import workers

parent = os.pidfd_open(os.getppid())
os.write(1, b"%d\\n" % os.getpid())
select.select([parent], [], [])
workers.die_with_parent()
signal.pause()
"""
IN_CHARGE = """
import sys
from pathlib import Path
from marval.processes import workers

try:
    workers.run(["-W", "ignore", "-c", sys.argv[1]], 2, Path("."))
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.fixture
def importable(root, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(root))


@pytest.fixture
def pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


@pytest.mark.slow
def test_mistake_of_one_process_is_told_once(importable, tmp_path, pipe, capfd):
    before = dict(os.environ), signal.getsignal(signal.SIGINT)
    with pytest.raises(UserError, match=r"^lr is 7: lower it$"):
        workers.run(["-c", MISTAKE, str(pipe)], 2, tmp_path)
    assert (dict(os.environ), signal.getsignal(signal.SIGINT)) == before
    assert capfd.readouterr().err == ""


@pytest.mark.slow
def test_bug_shows_its_traceback(importable, tmp_path, pipe, capfd):
    script = MISTAKE.replace("UserError(", "ZeroDivisionError(").replace("else 2)", "else 1)")
    with pytest.raises(SystemExit) as ended:
        workers.run(["-c", script, str(pipe)], 2, tmp_path)
    assert ended.value.code == 1
    assert "Traceback" in capfd.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "status", "work"),
    [
        (signal.SIGINT, 130, WAITING),
        (signal.SIGTERM, 130, WAITING),
        pytest.param(signal.SIGKILL, -signal.SIGKILL, WAITING, marks=pytest.mark.long),
        (signal.SIGKILL, -signal.SIGKILL, LATE),
    ],
    ids=["interrupted", "terminated", "killed", "killed early"],
)
def test_end_of_the_command_in_charge_is_the_end_of_all(importable, number, status, work):
    command = [sys.executable, "-W", "ignore", "-c", IN_CHARGE, work]
    watches = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            watches = [os.pidfd_open(int(process.stdout.readline())) for _ in range(2)]
            process.send_signal(number)
            for watch in watches:  # nothing is timed here: the limit is for what would hang
                assert select.select([watch], [], [], 300)[0], "a worker is still running"
            assert process.wait() == status
        finally:
            process.kill()
            for watch in watches:
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(watch, signal.SIGKILL)
                os.close(watch)


@pytest.mark.parametrize("value", ["0", "two", "-1"])
def test_nonsense_number_of_processes_is_refused(monkeypatch, value):
    monkeypatch.setenv("MARVAL_PROCESSES", value)
    with pytest.raises(UserError, match=f"MARVAL_PROCESSES is '{value}'"):
        workers.wanted()


def test_one_of_several_processes_starts_no_more(monkeypatch):
    monkeypatch.setenv("MARVAL_PROCESSES", "3")
    assert workers.wanted() == 3
    monkeypatch.setenv("LOCAL_RANK", "0")
    assert workers.wanted() == 1


def test_without_gpus_the_settings_say_how_many_processes_share_a_stage(monkeypatch):
    for name in ("LOCAL_RANK", workers.PROCESSES):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    assert workers.wanted(2) == 2
    assert stage_processes({"teacher": {"processes": 2}}, "teacher") == 2
    assert stage_processes({"distill": {"training": {}}}, "distill") == 1
    monkeypatch.setenv(workers.PROCESSES, "3")
    assert workers.wanted(2) == 3
    monkeypatch.delenv(workers.PROCESSES)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 4)
    assert workers.wanted(2) == 4


def test_a_stage_that_cannot_share_its_work_is_refused_in_several_processes(root, monkeypatch, capsys):
    """Each would do all of it, and write the same files."""
    monkeypatch.chdir(root)
    monkeypatch.setenv("LOCAL_RANK", "1")
    arguments = ["prepare", "smoke"]
    assert command_line.run(command_line.parser().parse_args(arguments), arguments) == 2
    assert capsys.readouterr().err.startswith("marval: error: prepare cannot share its work: ")
