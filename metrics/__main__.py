"""Command line: evaluate, compare, calibrate, statistics. See `python -m metrics --help`."""

import sys
import warnings

from metrics.cli import run
from metrics.errors import UserError

if __name__ == "__main__":
    warnings.showwarning = lambda message, *_: print(f"warning: {message}", file=sys.stderr)
    warnings.filterwarnings("ignore", category=FutureWarning)
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    try:
        sys.exit(run(sys.argv[1:]))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        print(
            f"error: {error.filename}: {error.strerror}: choose another place, or make room there",
            file=sys.stderr,
        )
        sys.exit(2)
