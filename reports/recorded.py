"""Claims read back from claims.json, for pages that set several results beside each other."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from reports.claims import Claim, Part, Verdict
from reports.errors import UserError
from reports.intervals import Estimate
from reports.paper import Paper


def read_claims(root: Path) -> dict[str, Claim]:
    """{claim id: claim} of ROOT/claims.json."""
    path = root / "claims.json"
    if not path.is_file():
        raise UserError(f"{path} is missing: run `python -m reports {root.name}` first")
    known = Paper().claims
    try:
        rows = {str(row["id"]): row for row in json.loads(path.read_text())}
        return {id: _claim(row, known.get(id, {}).get("title", row["claim"])) for id, row in rows.items()}
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is damaged: run `python -m reports {root.name}` to make it again") from error


def _claim(row: dict[str, Any], title: str) -> Claim:
    """With the title that paper.yaml has now, which the file does not keep."""
    entry = {key: row[key] for key in ("id", "claim", "source", "tolerances")} | {"title": title}
    parts = [_part(part) for part in row["parts"]]
    return Claim(entry, row["scope"], row["quantity"], row["paper"], _estimate(row), parts, row["beside"])


def _part(row: dict[str, Any]) -> Part:
    return Part(
        row["name"],
        Verdict(row["verdict"]),
        row["why"],
        _estimate(row),
        row["bound"],
        row["role"] == "control",
        p_fails=row["p_fails"],
        level=row["level"],
        power=row["power"],
        side=row["side"],
    )


def _estimate(row: dict[str, Any]) -> Estimate | None:
    if row["ours"] is None:
        return None
    low, high = (math.nan if row[key] is None else float(row[key]) for key in ("ci_low", "ci_high"))
    return Estimate(float(row["ours"]), low, high)
