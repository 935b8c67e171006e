"""The `dvc repro` of a rule, ended by what a cluster sends at the end of a job's hours."""

import json
import os
import subprocess
import sys

import pytest

from marval.processes.repro import INTERRUPTED

pytestmark = pytest.mark.slow

CONFIG = "[core]\n    no_scm = true\n    analytics = false\n    hardlink_lock = true\n"
STAGE = "stages:\n  ended:\n    cmd: {command}\n    outs: [made]\n"
# gets the signal where DVC has the command behind it and its locks taken again
SAVING = """
import os, signal, sys
from dvc.stage import Stage
from marval.processes.repro import repro

def end(*_, **__):
    assert os.path.exists(".dvc/tmp/lock")
    os.kill(os.getpid(), signal.SIGTERM)

Stage.save = end
sys.exit(repro("ended"))
"""
# gets it from the command, which goes on once DVC has done all that it does
RUNNING = """
import os
from pathlib import Path
from dvc.cli import main
from marval.processes import repro

def and_go(arguments):
    status = main(arguments)
    Path("go").write_text("")
    return status

os.mkfifo("go")
repro.main = and_go
status = repro.repro("ended")
assert Path("made").exists(), "the command has not been waited for"
raise SystemExit(status)
"""


@pytest.mark.parametrize(
    ("script", "command"),
    [(SAVING, "touch made"), (RUNNING, "kill $PPID; cat go; touch made")],
    ids=["saving", "running"],
)
def test_sigterm_gives_back_what_dvc_holds(root, tmp_path, script, command):
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text(CONFIG)
    (tmp_path / "dvc.yaml").write_text(STAGE.format(command=command))
    ended = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == INTERRUPTED, ended.stderr
    assert (tmp_path / "made").exists()
    assert not (tmp_path / ".dvc/tmp/lock").exists()
    assert not any(json.loads((tmp_path / ".dvc/tmp/rwlock").read_text()).values())
