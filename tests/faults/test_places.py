"""Where a run may not write, or has too little memory: one line with the remedy, and nothing lost."""

import sys

import pytest
from test_damage import content, differing, one_error

pytestmark = [pytest.mark.slow, pytest.mark.long]
# file modes bind root too, who owns what tests write: the command has no right to override them (CAP_DAC_OVERRIDE)
BOUND = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(24, 1)
os.execvp(sys.argv[1], sys.argv[1:])
"""


def bound(checkout, *command: str):
    return checkout.run(sys.executable, "-c", BOUND, *command, check=False)


def test_a_claim_of_another_user(copy, tried):
    """As a run in a container leaves it, whose user is root."""
    (copy.path / "results/smoke/scores/marval.json").unlink()
    running = copy.path / ".snakemake/running"
    running.chmod(0o444)
    line = one_error(bound(copy, "snakemake"))
    assert ".snakemake/running: permission denied: make it readable" in line
    tried["environments"] += 1


def test_write_protected_outputs_are_named_before_they_are_computed(copy, tried):
    path = copy.path / "results/smoke/metrics/marval.json"
    path.write_text("[]")
    path.chmod(0o444)
    line = one_error(bound(copy, "snakemake"))
    assert (
        "results/smoke/metrics/marval.json is write-protected, and evaluate@smoke-marval has to run again"
        in line
    )
    assert "`chmod -R u+w results/smoke/metrics/marval.json`" in line
    assert path.read_text() == "[]"
    tried["environments"] += 1


SHORT_OF_MEMORY = """
import resource, sys
import torch
from marval.__main__ import main
from marval.stages import sample

used = 1024 * int(open("/proc/self/status").read().split("VmData:")[1].split()[0])
resource.setrlimit(resource.RLIMIT_DATA, (used, used))
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits what Linux lets a process allocate")
def test_too_little_memory(copy, tried):
    before = content(copy)
    arguments = ("sample", "smoke", "--variant", "marval")
    done = copy.run(
        sys.executable, "-W", "ignore", "-c", SHORT_OF_MEMORY, *arguments, check=False, MARVAL_WARM=""
    )
    line = one_error(done)
    assert "sample: out of memory (" in line
    assert "lower sample.batch in the preset smoke; finished work is kept" in line
    assert differing(copy, before) == []
    tried["environments"] += 1
