"""`reports PRESET`: the verdicts at the terminal, the report in results/PRESET; other commands read results too."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from console import command_parser, told
from reports.errors import UserError

BUILD = "build"  # what is meant where a preset stands in place of a command
EXAMPLES = """
reports digits                                # verdicts, tables, figures and page, in results/digits
reports verdicts                              # of every active preset; nothing is written
reports compare results/digits results/digits-full -o compare.html
reports export digits -o digits.zip
reports verify digits.zip
"""
RESULTS = Path("results")


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    options = parser().parse_args(with_build(arguments))
    return told("reports", lambda: options.command(options), UserError)


def with_build(arguments: list[str]) -> list[str]:
    """The command's name is left out before a preset, and before its options."""
    said = {*COMMANDS, "-h", "--help", "--version"}
    return [BUILD, *arguments] if arguments and arguments[0] not in said else arguments


def parser() -> argparse.ArgumentParser:
    """Of the whole command line."""
    top = command_parser(
        "reports",
        "Turn result files into claims, tables, figures and a page. A preset in place of a command means `build PRESET`.",
        EXAMPLES,
    )
    adders = top.add_subparsers(required=True, metavar="COMMAND")
    for name, (add_arguments, command, text) in COMMANDS.items():
        added = adders.add_parser(name, help=text, description=text)
        add_arguments(added)
        added.set_defaults(command=command)
    return top


def _of_preset(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("preset", metavar="PRESET", help="for example digits")
    parser.add_argument(
        "--results", type=Path, metavar="FOLDER", help="with the preset's results (default: results/PRESET)"
    )


def _of_export(parser: argparse.ArgumentParser) -> None:
    _of_preset(parser)
    parser.add_argument(
        "-o", "--output", type=Path, metavar="PATH", help="folder, or a .zip file (default: export/PRESET)"
    )


def _of_two(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("first", type=Path, metavar="A", help="for example results/digits")
    parser.add_argument("second", type=Path, metavar="B", help="for example results/digits-full")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="HTML", help="page to write")


def _of_crate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("crate", type=Path, metavar="CRATE", help="folder or .zip file")


def _of_all(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "results",
        type=Path,
        nargs="?",
        default=RESULTS,
        metavar="FOLDER",
        help="of all presets (default: results)",
    )


def _of_times(parser: argparse.ArgumentParser) -> None:
    _of_all(parser)
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("docs/times.yaml"),
        metavar="YAML",
        help="file to bring up to date (default: %(default)s)",
    )


def _build(options: argparse.Namespace) -> int:
    from reports.build import build
    from reports.index import write_index
    from reports.provenance import check_recorded
    from reports.results import Results
    from reports.terminal import verdict_table

    results = Results.open(options.preset, options.results or RESULTS / options.preset)
    check_recorded(results)
    claims = build(results)
    write_index(results.root.parent)
    print(verdict_table(claims))
    for problem in results.problems:
        print(f"note: {problem}")
    print(f"report: {results.label(results.root / 'report.html')}")
    return 0


def _compare(options: argparse.Namespace) -> int:
    from reports.compare import write_comparison

    print(f"comparison: {write_comparison(options.first, options.second, options.output)}")
    return 0


def _export(options: argparse.Namespace) -> int:
    from reports.export import export
    from reports.results import Results

    results = Results.open(options.preset, options.results or RESULTS / options.preset)
    print(f"crate: {export(results, options.output or Path('export') / options.preset)}")
    return 0


def _verify(options: argparse.Namespace) -> int:
    from reports.export.verify import verify

    print(verify(options.crate))
    return 0


def _index(options: argparse.Namespace) -> int:
    from reports.index import write_index

    print(f"index: {write_index(options.results)}")
    return 0


def _times(options: argparse.Namespace) -> int:
    from reports.times import write_times

    print(f"times: {write_times(options.results, options.output)}")
    return 0


def _verdicts(options: argparse.Namespace) -> int:
    from reports.claims import evaluate
    from reports.formats import read_json
    from reports.paper import Paper
    from reports.provenance import check_recorded
    from reports.results import Results
    from reports.terminal import verdict_table

    folder: Path = options.results
    active = folder / "runs.json"
    if not active.is_file():
        raise UserError(f"{active} is missing: run `snakemake`, which writes it")
    for preset in read_json(active)["all_presets"]:
        results = Results.open(preset, folder / preset)
        check_recorded(results)
        print(f"\n{preset}\n")
        print(verdict_table(evaluate(results, Paper())))
        print(f"\nreport: {results.label(results.root / 'report.html')}")
    return 0


COMMANDS = {  # name: (adds its arguments, does it, what it does)
    BUILD: (
        _of_preset,
        _build,
        "claims.json, tables/, figures/ and report.html of a preset, from its results",
    ),
    "compare": (_of_two, _compare, "a page that sets two results folders side by side"),
    "export": (_of_export, _export, "a preset's results as an RO-Crate that stands alone"),
    "verify": (_of_crate, _verify, "check a crate's hashes and recompute its verdicts"),
    "verdicts": (_of_all, _verdicts, "print the verdicts of every active preset"),
    "index": (_of_all, _index, "results/index.html, which lists every preset that has a report"),
    "times": (_of_times, _times, "write how long every finished preset took"),
}


if __name__ == "__main__":
    sys.exit(main())
