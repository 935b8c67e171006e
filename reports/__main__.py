"""`python -m reports PRESET`: the verdicts at the terminal, the report in results/PRESET."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from reports.errors import UserError


def main(arguments: list[str] | None = None) -> int:
    arguments = sys.argv[1:] if arguments is None else arguments
    commands = {
        "compare": _compare,
        "export": _export,
        "index": _index,
        "times": _times,
        "verdicts": _verdicts,
        "verify": _verify,
    }
    try:
        if arguments and arguments[0] in commands:
            commands[arguments[0]](arguments[1:])
        else:
            _report(arguments)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _report(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m reports",
        description="Turn the result files of a preset into claims, tables, figures and a page.",
        epilog="Other commands: `python -m reports compare A B -o FILE`, `... export PRESET`, `... index`, "
        "`... times`, `... verdicts`, `... verify CRATE`.",
    )
    parser.add_argument("preset", help="name of the preset, for example digits")
    parser.add_argument(
        "--results", type=Path, help="folder with the preset's results (default: results/PRESET)"
    )
    options = parser.parse_args(arguments)

    from reports.build import build
    from reports.index import write_index
    from reports.provenance import check_recorded
    from reports.results import Results
    from reports.terminal import verdict_table

    results = Results.open(options.preset, options.results or Path("results") / options.preset)
    check_recorded(results)
    claims = build(results)
    write_index(results.root.parent)
    print(verdict_table(claims))
    for problem in results.problems:
        print(f"note: {problem}")
    print(f"report: {results.label(results.root / 'report.html')}")


def _compare(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m reports compare", description="Compare two results folders."
    )
    parser.add_argument("first", type=Path, help="for example results/digits")
    parser.add_argument("second", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True, help="page to write")
    options = parser.parse_args(arguments)

    from reports.compare import write_comparison

    print(f"comparison: {write_comparison(options.first, options.second, options.output)}")


def _export(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m reports export",
        description="Write a preset's results as an RO-Crate that stands alone.",
    )
    parser.add_argument("preset", help="for example digits")
    parser.add_argument("--results", type=Path, help="default: results/PRESET")
    parser.add_argument("-o", "--output", type=Path, help="folder, or a .zip file (default: export/PRESET)")
    options = parser.parse_args(arguments)

    from reports.export import export
    from reports.results import Results

    results = Results.open(options.preset, options.results or Path("results") / options.preset)
    print(f"crate: {export(results, options.output or Path('export') / options.preset)}")


def _verify(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m reports verify", description="Check a crate's hashes and recompute its verdicts."
    )
    parser.add_argument("crate", type=Path, help="folder or .zip file")
    options = parser.parse_args(arguments)

    from reports.export.verify import verify

    print(verify(options.crate))


def _index(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m reports index", description="List every preset that has a report."
    )
    parser.add_argument("results", type=Path, nargs="?", default=Path("results"))
    options = parser.parse_args(arguments)

    from reports.index import write_index

    print(f"index: {write_index(options.results)}")


def _times(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m reports times", description="Write how long every finished preset took."
    )
    parser.add_argument("results", type=Path, nargs="?", default=Path("results"))
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/times.yaml"))
    options = parser.parse_args(arguments)

    from reports.times import write_times

    print(f"times: {write_times(options.results, options.output)}")


def _verdicts(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m reports verdicts", description="Print the verdicts of every active preset."
    )
    parser.add_argument("results", type=Path, nargs="?", default=Path("results"))
    folder: Path = parser.parse_args(arguments).results

    from reports.claims import evaluate
    from reports.formats import read_json
    from reports.paper import Paper
    from reports.provenance import check_recorded
    from reports.results import Results
    from reports.terminal import verdict_table

    active = folder / "runs.json"
    if not active.is_file():
        raise UserError(f"{active} is missing: run `snakemake`, which writes it")
    for preset in read_json(active)["all_presets"]:
        results = Results.open(preset, folder / preset)
        check_recorded(results)
        print(f"\n{preset}\n")
        print(verdict_table(evaluate(results, Paper())))
        print(f"\nreport: {results.label(results.root / 'report.html')}")


if __name__ == "__main__":
    sys.exit(main())
