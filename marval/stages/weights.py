"""`python -m marval weights PRESET`: fetch and check the published files that a preset starts from. No stage of the graph."""

from __future__ import annotations

import sys

from marval.stages.preset import load_preset
from marval.weights import fetch, path_of, registry


def run(preset: str) -> None:
    """Say what is needed and under which licences, then fetch what is missing."""
    names = load_preset(preset).published_files
    if not names:
        sys.stderr.write(f"marval: {preset} starts from no published files\n")
    for name in names:
        entry = registry()[name]
        sys.stderr.write(f"{path_of(name)}: {entry.what} (licence: {entry.licence}; {entry.page})\n")
    fetch(names)
