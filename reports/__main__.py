"""`python -m reports PRESET`: the verdicts at the terminal, the report in results/PRESET."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from reports.errors import UserError


def main(arguments: list[str] | None = None) -> int:
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        _report(arguments)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _report(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m reports",
        description="Turn the result files of a preset into claims, tables, figures and a page.",
    )
    parser.add_argument("preset", help="name of the preset, for example digits")
    parser.add_argument(
        "--results", type=Path, help="folder with the preset's results (default: results/PRESET)"
    )
    options = parser.parse_args(arguments)

    from reports.build import build
    from reports.results import Results
    from reports.terminal import verdict_table

    results = Results.open(options.preset, options.results or Path("results") / options.preset)
    claims = build(results)
    print(verdict_table(claims))
    for problem in results.problems:
        print(f"note: {problem}")
    print(f"report: {results.label(results.root / 'report.html')}")


if __name__ == "__main__":
    sys.exit(main())
