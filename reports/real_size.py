"""The speed-up of one step at the paper's size where arithmetic decides: MAR-B on a CPU.

A proxy's networks are so small that launches and waiting are part of its speed-up. What is left of one at the real size is read
from the kept result of `python -m benchmarks.official`, since an image takes minutes there.
"""

from __future__ import annotations

import json
from pathlib import Path

from reports.wording import number

FILE = "reference/official/mar-b-batch-1.json"
SAMPLERS = ("published code", "reference sampler", "reference sampler, one step")


def at_real_size(paper_speedup: float | None) -> str:
    """A few sentences. `paper_speedup`: the paper's for MAR-B."""
    kept = json.loads((Path(__file__).parent / FILE).read_text())
    published, teacher, student = (kept["samplers"][name]["least_seconds"] for name in SAMPLERS)
    where = f"{kept['ar_steps']} AR steps, batch 1, float32, one thread of {kept['machine']['cpu']}"
    return (
        f"At the real size and on a CPU arithmetic decides: an image of MAR-B ({where}) takes {number(teacher)} s with 100 "
        f"diffusion steps (the published code: {number(published)} s) and {number(student)} s with one. That is "
        f"{number(teacher / student, 2)} times as fast, not {number(paper_speedup)} times. Measured once, on random weights and "
        f"without the decoder to pixels; kept in reports/{FILE}."
    )
