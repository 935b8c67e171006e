"""A table is one pandas data frame of cells; HTML, CSV and LaTeX are three ways to write it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import pandas as pd

from reports.intervals import Estimate
from reports.provenance import Source
from reports.wording import MISSING, bounds, number

Direction = Literal["min", "max"]
COMMON = ("device", "machine", "numbers", "AR steps")  # columns that often say one thing


@dataclass(frozen=True)
class Cell:
    """A number with its interval and where it came from; `source` None marks a number of the paper or of arithmetic."""

    estimate: Estimate | None
    source: Source | None = None
    note: str = ""
    best: bool = False
    decimals: int | None = None  # as printed by the source; else three or four significant digits

    @property
    def text(self) -> str:
        if self.estimate is None:
            return MISSING
        return (
            number(self.estimate.value)
            if self.decimals is None
            else f"{self.estimate.value:.{self.decimals}f}"
        )

    @property
    def bounds(self) -> str:
        return bounds(self.estimate)

    @property
    def title(self) -> str:
        """The tooltip: everything needed to find the number again."""
        parts = [self.note] if self.note else []
        if self.estimate and self.estimate.seeds:
            parts.append(f"seeds {', '.join(map(str, self.estimate.seeds))}")
        if self.estimate and self.estimate.how:
            parts.append(f"interval: {self.estimate.how}")
        if self.source:
            parts.append(f"{self.source.file}, md5 {self.source.md5}; {self.source.rerun}")
        return "; ".join(parts)


def plain(value: float | None, note: str = "", decimals: int | None = None) -> Cell:
    """A cell without interval."""
    return Cell(None if value is None else Estimate(value), note=note, decimals=decimals)


def without_common(rows: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[str]]:
    """The rows without those columns of COMMON that say the same in each, and a note that says it once."""
    values = {name: {_words(row[name]) for row in rows} - {""} for name in COMMON if rows and name in rows[0]}
    same = {name: own.pop() for name, own in values.items() if len(own) == 1 and len(rows) > 1}
    kept = [{name: x for name, x in row.items() if name not in same} for row in rows]
    note = "; ".join(f"{name}: {value}" for name, value in same.items())
    return kept, [f"The same in every row: {note}."] if note else []


def _words(x: Any) -> str:
    return x.text if isinstance(x, Cell) else str(x)


@dataclass
class Table:
    """`frame` holds strings and Cells; its first column is the row's header. `directions` says which end of a column is best."""

    id: str
    caption: str
    frame: pd.DataFrame
    notes: list[str] = field(default_factory=list)

    @classmethod
    def of(
        cls,
        id: str,
        caption: str,
        rows: list[dict[str, Any]],
        directions: dict[str, Direction] | None = None,
        notes: list[str] | None = None,
        unranked: tuple[str, ...] = (),
    ) -> Table:
        """From rows by column; empty columns go.

        The best cell of each column in `directions` is marked; rows whose header is in `unranked` do not compete.
        """
        columns = list(dict.fromkeys(key for row in rows for key in row))
        for column, direction in (directions or {}).items():
            _mark_best([row for row in rows if row[columns[0]] not in unranked], column, direction)
        used = [c for i, c in enumerate(columns) if i == 0 or not all(_is_empty(row.get(c)) for row in rows)]
        frame = pd.DataFrame([[row.get(c, "") for c in used] for row in rows], columns=used, dtype=object)
        return cls(id, caption, frame, notes or [])

    @property
    def rows(self) -> list[list[Any]]:
        return self.frame.to_numpy(dtype=object).tolist()

    def is_text(self, column: int) -> bool:
        """Whether a column holds words: those are set left, numbers right."""
        return self._of_words[column]

    @cached_property
    def _of_words(self) -> list[bool]:
        columns = zip(*self.rows, strict=True)
        return [i == 0 or not any(isinstance(x, Cell) for x in column) for i, column in enumerate(columns)]

    @cached_property
    def is_wordy(self) -> bool:
        """Whether most columns hold words: a narrow page then shows a row as a card instead of scrolling sideways."""
        return sum(self._of_words[1:]) > (len(self._of_words) - 1) / 2

    @property
    def is_empty(self) -> bool:
        return self.frame.empty or self.frame.shape[1] < 2

    def to_csv(self) -> str:
        """Full precision; a column with intervals is followed by its `low` and `high`."""
        columns: dict[str, list[Any]] = {}
        for name in self.frame.columns:
            cells = list(self.frame[name])
            columns[name] = [_value(x) for x in cells]
            if any(isinstance(x, Cell) and x.bounds for x in cells):
                columns[f"{name}, low"] = [_end(x, "low") for x in cells]
                columns[f"{name}, high"] = [_end(x, "high") for x in cells]
        return str(pd.DataFrame(columns).to_csv(index=False, lineterminator="\n"))

    def to_latex(self) -> str:
        """A `table` with booktabs rules; the best of a column is bold."""
        header = [_tex(c) for c in self.frame.columns]
        body = pd.DataFrame([[_tex_cell(x) for x in row] for row in self.rows], columns=header)
        return str(
            body.to_latex(
                index=False,
                escape=False,
                caption=_tex(self.caption),
                label=f"tab:{self.id}",
                column_format="l" + "r" * (len(header) - 1),
            )
        )


def _is_empty(x: Any) -> bool:
    return x == "" or x is None or (isinstance(x, Cell) and x.estimate is None)


def _mark_best(rows: list[dict[str, Any]], column: str, direction: Direction) -> None:
    """Replace the best cell of a column, and those equal to it, by a marked one; a lone value is no best."""
    values = {i: value for i, row in enumerate(rows) if (value := _rankable(row.get(column))) is not None}
    if len(values) < 2:
        return
    best = (min if direction == "min" else max)(values.values())
    for i, value in values.items():
        if value == best:
            rows[i][column] = replace(rows[i][column], best=True)


def _rankable(x: Any) -> float | None:
    known = isinstance(x, Cell) and x.estimate is not None and not math.isnan(x.estimate.value)
    return x.estimate.value if known else None


def _value(x: Any) -> Any:
    return (x.estimate.value if x.estimate else "") if isinstance(x, Cell) else x


def _end(x: Any, end: str) -> Any:
    return getattr(x.estimate, end) if isinstance(x, Cell) and x.estimate and x.estimate.has_interval else ""


_TEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}
_TEX |= {
    "é": r"\'e",
    "×": r"$\times$",
    "→": r"$\to$",
    "–": "--",
    "∞": r"$\infty$",
    "≥": r"$\ge$",
    "±": r"$\pm$",
}


def _tex(text: str) -> str:
    return "".join(_TEX.get(c, c) for c in str(text))


def _tex_cell(x: Any) -> str:
    if not isinstance(x, Cell):
        return _tex(x)
    text = rf"\textbf{{{_tex(x.text)}}}" if x.best else _tex(x.text)
    return rf"{text} {{\scriptsize [{_tex(x.bounds)}]}}" if x.bounds else text
