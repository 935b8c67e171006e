"""The verdict table for a terminal."""

from __future__ import annotations

import shutil
import textwrap

from reports.claims import Claim
from reports.wording import interval, number

MARKS = {"reproduced": "+", "not reproduced": "-", "inconclusive": "?", "not attempted": "."}


def verdict_table(claims: list[Claim], width: int | None = None) -> str:
    """Aligned columns id, claim, paper, ours with interval, verdict, scope; the sentence why below each."""
    width = width or max(80, shutil.get_terminal_size((120, 40)).columns)
    rows = [("id", "claim", "paper", "ours [95%]", "verdict", "scope")]
    rows += [
        (c.id, c.title, number(c.paper), interval(c.estimate), f"{MARKS[c.verdict]} {c.verdict}", c.scope)
        for c in claims
    ]
    widths = [max(len(row[i]) for row in rows) for i in range(6)]
    lines = ["  ".join(text.ljust(w) for text, w in zip(row, widths, strict=True)).rstrip() for row in rows]
    out = [lines[0], "-" * min(width, max(map(len, lines)))]
    for line, claim in zip(lines[1:], claims, strict=True):
        out += [line, *textwrap.wrap(claim.why, width - 4, initial_indent="    ", subsequent_indent="    ")]
    return "\n".join(out)
