"""Differences between two result files, with intervals; only where both were made under the same protocol.

Paired wherever the files allow it: by seed where both hold the same several seeds, else by the random halves of the images.
"""

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from metrics.errors import UserError
from metrics.files import read_json
from metrics.intervals import Interval, half_sample_interval, seeds_interval
from metrics.rows import Row

Verdict = Literal["B better", "A better", "B higher", "A higher", "inconclusive"]


class _Halves(BaseModel):
    sha256: str
    values: list[float] = Field(min_length=2)


class _Row(BaseModel):
    """What of a measurement is compared."""

    model_config = ConfigDict(strict=True)

    metric: str
    value: float
    ci_low: float
    ci_high: float
    seeds: list[int] = Field(min_length=1)
    values: list[float]
    halves: list[_Halves] | None = None
    higher_is_better: bool | None
    judge: str
    judge_sha256: str | None
    protocol: dict[str, Any]

    @model_validator(mode="after")
    def _is_of_its_seeds(self) -> Self:
        if len(self.values) != len(self.seeds):
            raise ValueError(f"{len(self.values)} values of {len(self.seeds)} seeds")
        return self


_ROWS = TypeAdapter(list[_Row])


def read_rows(path: str | Path) -> list[Row]:
    """The rows of a metrics/VARIANT.json."""
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file: give a result file of `python -m metrics evaluate`")
    rows = read_json(path, "evaluate the samples again")
    try:
        _ROWS.validate_python(rows)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise UserError(
            f"{path}: not a list of measurements ({key}: {first['msg'].lower()}): give a result file of "
            "`python -m metrics evaluate`"
        ) from error
    return rows


def compare(rows_a: list[Row], rows_b: list[Row]) -> list[Row]:
    """One row for each metric of both: {metric, a, b, difference (B - A), ci_low, ci_high, verdict,
    interval}.

    Raises UserError where a metric was taken under different protocols: judge, weights, n, reference, crop,
    splits.
    """
    others = {row["metric"]: row for row in rows_b}
    both = [(row, others[row["metric"]]) for row in rows_a if row["metric"] in others]
    if not both:
        raise UserError("the two files have no metric in common: nothing to compare")
    return [_difference(a, b) for a, b in both]


def protocol_difference(a: Row, b: Row) -> str | None:
    """The first thing in which two measurements' protocols differ, in words; None where they may be compared."""
    for key in ("judge", "judge_sha256"):
        if a[key] != b[key]:
            return f"{key} {a[key]} and {b[key]}"
    first, second = a["protocol"], b["protocol"]
    for key in sorted({*first, *second}):
        if first.get(key) != second.get(key):
            return f"{key} {first.get(key)} and {second.get(key)}"
    return None


def _difference(a: Row, b: Row) -> Row:
    differs = protocol_difference(a, b)
    if differs:
        raise UserError(
            f"{a['metric']}: measured under different protocols ({differs}): evaluate both in the same way"
        )
    if a["seeds"] == b["seeds"] and len(a["seeds"]) > 1:
        paired = [y - x for x, y in zip(a["values"], b["values"], strict=True)]
        interval, how = seeds_interval(paired), "95% t interval of the differences seed by seed"
    elif (halves := _half_by_half(a, b)) is not None:
        interval = half_sample_interval(b["value"] - a["value"], halves)
        how = f"95% normal interval of the differences on {len(halves)} equal random halves; images only"
    else:
        interval, how = _independent(a, b), "95% interval combined from both"
    return {
        "metric": a["metric"],
        "a": a["value"],
        "b": b["value"],
        "difference": b["value"] - a["value"],
        "ci_low": interval[0],
        "ci_high": interval[1],
        "verdict": _verdict(interval, a["higher_is_better"]),
        "interval": how,
    }


def _half_by_half(a: Row, b: Row) -> list[float] | None:
    """b - a on each random half of the images; None where the two were not taken on the same halves of one seed's images.

    Variants share noise, orders and classes image by image: much of what one half has by chance, the other variant's has too.
    """
    first, second = a.get("halves"), b.get("halves")
    if (
        not first
        or not second
        or len(first) > 1
        or len(second) > 1
        or first[0]["sha256"] != second[0]["sha256"]
    ):
        return None
    if len(first[0]["values"]) != len(second[0]["values"]):
        raise UserError(f"{a['metric']}: the same halves, but not as many values: evaluate both again")
    return [y - x for x, y in zip(first[0]["values"], second[0]["values"], strict=True)]


def _independent(a: Row, b: Row) -> Interval:
    """Interval of b - a from the two intervals (Zou & Donner's method of variance estimates recovery)."""
    difference = b["value"] - a["value"]
    below = ((b["value"] - b["ci_low"]) ** 2 + (a["ci_high"] - a["value"]) ** 2) ** 0.5
    above = ((b["ci_high"] - b["value"]) ** 2 + (a["value"] - a["ci_low"]) ** 2) ** 0.5
    return difference - below, difference + above


def _verdict(interval: Interval, higher_is_better: bool | None) -> Verdict:
    low, high = interval
    if not (low > 0 or high < 0):  # a NaN is inconclusive too
        return "inconclusive"
    if higher_is_better is None:
        return "B higher" if low > 0 else "A higher"
    return "B better" if (low > 0) == higher_is_better else "A better"


def table(rows: list[Row]) -> str:
    """The comparison as aligned text."""
    cells: list[list[Any]] = [["metric", "A", "B", "B - A", "95% interval", "verdict"]]
    for row in rows:
        interval = f"[{row['ci_low']:+.4g}, {row['ci_high']:+.4g}]"
        numbers = [f"{row['a']:.4f}", f"{row['b']:.4f}", f"{row['difference']:+.4f}"]
        cells.append([row["metric"], *numbers, interval, row["verdict"]])
    widths = [max(len(line[i]) for line in cells) for i in range(len(cells[0]))]
    return "\n".join(
        "  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip() for line in cells
    )
