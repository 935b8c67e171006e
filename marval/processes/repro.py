"""`dvc repro` of one stage, as a rule of Snakemake runs it: `python -m marval.processes.repro STAGE`.

DVC by itself dies of SIGTERM at once, which a cluster sends at a job's limit, and leaves what it holds: of its locks for network
file systems (`core.hardlink_lock`) one without an owner keeps all others waiting for a year.
"""

from __future__ import annotations

import contextlib
import os
import sys

from dvc.cli import main

from marval.processes import sigterm

INTERRUPTED = 252  # DVC's exit status


def repro(address: str) -> int:
    """Run a stage, once other `dvc` commands let it; the exit status."""
    sigterm.take_as_ctrl_c()
    status = main(["--wait-for-lock", "repro", "--single-item", address])
    if status == INTERRUPTED:
        # for the stage's command, which has got the signal too: Slurm kills it once this process and Snakemake's are gone
        with contextlib.suppress(ChildProcessError):
            os.wait()
    return status


if __name__ == "__main__":
    sys.exit(repro(sys.argv[1]))
