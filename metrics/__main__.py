"""`metrics`: evaluate, compare, calibrate, statistics. See `metrics --help`."""

import sys
import warnings

from console import told
from metrics.cli import run
from metrics.errors import UserError


def main() -> int:
    """Run what was typed; returns the exit status."""
    warnings.showwarning = lambda message, *_: print(f"metrics: warning: {message}", file=sys.stderr)
    warnings.filterwarnings("ignore", category=FutureWarning)
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    return told("metrics", lambda: run(sys.argv[1:]), UserError)


if __name__ == "__main__":
    sys.exit(main())
