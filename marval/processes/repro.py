"""`dvc repro` of one stage, as a rule of Snakemake runs it: `python -m marval.processes.repro STAGE`.

DVC dies of SIGTERM at once, which a cluster sends at a job's limit, and leaves what it holds: of its locks for network file systems
(`core.hardlink_lock`) one without an owner keeps all others waiting for a year. Here SIGTERM ends it as an error would.
"""

from __future__ import annotations

import signal
import sys

from dvc.cli import main


def repro(address: str) -> int:
    """Run a stage, once other `dvc` commands let it; the exit status."""
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    return main(["--wait-for-lock", "repro", "--single-item", address])


if __name__ == "__main__":
    sys.exit(repro(sys.argv[1]))
