"""Where a run may not write, or has too little memory: one line with the remedy, before anything is computed."""

import sys

import pytest
from test_damage import one_error

pytestmark = [pytest.mark.slow, pytest.mark.long]
# file modes bind root too, who owns what tests write: the command has no right to override them (CAP_DAC_OVERRIDE)
BOUND = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(24, 1)
os.execvp(sys.argv[1], sys.argv[1:])
"""


def bound(checkout, *command: str):
    return checkout.run(sys.executable, "-c", BOUND, *command, check=False)


def test_a_folder_of_snakemake_that_may_not_be_written(copy, tried):
    for folder in (copy.path / ".snakemake/stages", copy.path / ".snakemake"):
        folder.chmod(0o555)
        line = one_error(bound(copy, "snakemake"))
        folder.chmod(0o755)
        assert ".snakemake" in line
        assert "make it readable and its folder writable for this user" in line
        tried["environments"] += 1


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


@pytest.mark.parametrize("megabytes", [400, 1000])
def test_too_little_memory(copy, tried, megabytes):
    (copy.path / "results/smoke/scores/marval.json").unlink()
    limited = f"ulimit -v {1000 * megabytes}; exec snakemake"
    line = one_error(copy.run("bash", "-c", limited, check=False))
    assert "raise the limit of memory (`ulimit -v`)" in line
    tried["environments"] += 1
