"""How much is tried: a share, or with FAULTS=1 everything, in FAULTS_MINUTES (60)."""

import os
import time

WHOLE = bool(os.environ.get("FAULTS"))
MINUTES = float(os.environ.get("FAULTS_MINUTES", "60"))
_end = time.monotonic() + 60 * MINUTES


def time_left() -> bool:
    """Whether something new may be begun; a share is always finished."""
    return not WHOLE or time.monotonic() < _end
