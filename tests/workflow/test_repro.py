"""The `dvc repro` of a rule, ended by what a cluster sends at the end of a job's hours."""

import json
import os
import signal
import subprocess
import sys

import pytest

CONFIG = "[core]\n    no_scm = true\n    analytics = false\n    hardlink_lock = true\n"
STAGE = "stages:\n  ended:\n    cmd: touch made\n    outs: [made]\n"
# gets the signal where DVC has the command behind it and its locks taken again
ENDED = """
import os, signal, sys
from dvc.stage import Stage
from marval.processes.repro import repro

def end(*_, **__):
    assert os.path.exists(".dvc/tmp/lock")
    os.kill(os.getpid(), signal.SIGTERM)

Stage.save = end
sys.exit(repro("ended"))
"""


@pytest.mark.slow
def test_sigterm_gives_back_what_dvc_holds(root, tmp_path):
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text(CONFIG)
    (tmp_path / "dvc.yaml").write_text(STAGE)
    ended = subprocess.run(
        [sys.executable, "-c", ENDED],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 128 + signal.SIGTERM, ended.stderr
    assert (tmp_path / "made").exists()
    assert not (tmp_path / ".dvc/tmp/lock").exists()
    assert not any(json.loads((tmp_path / ".dvc/tmp/rwlock").read_text()).values())
