"""From a results folder to claims.json, findings.json, tables/, figures/ and report.html."""

from __future__ import annotations

from pathlib import Path

from reports.claims import Claim, as_rows, evaluate, find
from reports.figures import Drawing, all_figures
from reports.output import write_bytes, write_json, write_text
from reports.page import render
from reports.paper import Paper
from reports.provenance import Provenance
from reports.results import Results
from reports.samples import galleries, sheets
from reports.student import student
from reports.tables import Table, all_tables

PAGE_LIMIT = 8_000_000  # bytes, without the model that a page may carry
MODEL_PAGE_LIMIT = 10_000_000  # bytes, with it


def build(results: Results) -> list[Claim]:
    """Write the whole report into the results' folder and return the claims.

    Tables and figures of an earlier report that no longer apply are removed.
    """
    paper, provenance = Paper(), Provenance(results)
    claims, findings = evaluate(results, paper), find(results, paper)
    tables = all_tables(results, paper, provenance)
    figures = all_figures(results, paper)
    write_json(results.root / "claims.json", as_rows(claims, results))
    write_json(results.root / "findings.json", as_rows(findings, results))
    _write_tables(results.root / "tables", tables)
    _write_figures(results.root / "figures", figures)
    page = render(
        results,
        paper,
        claims,
        findings,
        tables,
        figures,
        galleries(results, paper),
        sheets(results, paper),
        student(results),
        provenance,
    )
    write_text(results.root / "report.html", page)
    return claims


def _write_tables(folder: Path, tables: dict[str, Table]) -> None:
    _clear(folder, (".csv", ".tex"), set(tables))
    for id, table in tables.items():
        write_text(folder / f"{id}.csv", table.to_csv())
        write_text(folder / f"{id}.tex", table.to_latex())


def _write_figures(folder: Path, figures: dict[str, Drawing]) -> None:
    _clear(folder, (".svg", ".png"), set(figures))
    for id, figure in figures.items():
        write_text(folder / f"{id}.svg", figure.svg)
        write_bytes(folder / f"{id}.png", figure.png)


def _clear(folder: Path, suffixes: tuple[str, ...], keep: set[str]) -> None:
    """A folder that is there even when empty, because the workflow expects it, and that holds nothing of an earlier report."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        if path.suffix in suffixes and path.stem not in keep:
            path.unlink()
