"""`python -m marval weights PRESET`: fetch and check the published files that a preset starts from."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from marval.weights.registry import path_of, registry
from marval.weights.store import fetch


def fetch_named(preset: str, names: Sequence[str]) -> None:
    """Say what a preset needs and under which licences, then fetch what is missing."""
    if not names:
        sys.stderr.write(f"marval: {preset} starts from no published files\n")
    for name in names:
        entry = registry()[name]
        sys.stderr.write(f"{path_of(name)}: {entry.what} (licence: {entry.licence}; {entry.page})\n")
    fetch(names)
