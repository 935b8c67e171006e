"""What the commands `marval`, `metrics` and `reports` have in common: version, help, and errors in one line.

Nothing here is part of a result. Only the `__main__` and `cli` modules of the three packages import it.
"""

from __future__ import annotations

import argparse
import sys
import tomllib
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from subprocess import DEVNULL, PIPE, run
from typing import Any

ROOT = Path(__file__).resolve().parent.parent  # of the checkout, where this is one
STATUS_USER_ERROR = 2
STATUS_INTERRUPTED = 130


def version_text(root: Path = ROOT) -> str:
    """The project's version and, in a checkout, its commit: `0.1.0 (commit 1a2b3c4)`."""
    project = root / "pyproject.toml"
    if not project.is_file():
        return version("marval")
    number = str(tomllib.loads(project.read_text())["project"]["version"])
    commit = _commit(root) if (root / ".git").exists() else ""
    return f"{number} (commit {commit})" if commit else number


def _commit(root: Path) -> str:
    """Abbreviated; empty where git is missing, refuses, or has no commit yet."""
    try:
        answer = run(
            ["git", "-C", str(root), "rev-parse", "--short", "HEAD"],
            stdout=PIPE,
            stderr=DEVNULL,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        return ""
    return answer.stdout.strip() if answer.returncode == 0 else ""


class _ShowVersion(argparse.Action):
    """`--version`; git is asked only then."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        sys.stdout.write(f"{parser.prog} {version_text()}\n")
        parser.exit()


def command_parser(program: str, description: str, examples: str) -> argparse.ArgumentParser:
    """The parser of a command, with `--version`; `examples` are lines of a shell, shown below the help."""
    parser = argparse.ArgumentParser(prog=program, description=description, **with_examples(examples))
    parser.add_argument(
        "--version", action=_ShowVersion, nargs=0, help="show version and commit of the project, and exit"
    )
    return parser


def with_examples(examples: str) -> dict[str, Any]:
    """Arguments of a parser that shows the lines as they are."""
    lines = "\n".join(f"  {line.strip()}" for line in examples.strip().splitlines())
    return {"epilog": f"examples:\n{lines}", "formatter_class": argparse.RawDescriptionHelpFormatter}


def fail(program: str, message: object, status: int = STATUS_USER_ERROR) -> int:
    """Say in one line on stderr what is wrong; returns the exit status."""
    sys.stderr.write(f"{program}: error: {message}\n")
    return status


def told(program: str, command: Callable[[], int], error_of_user: type[Exception]) -> int:
    """The command's exit status; what a person can mend is one line and status 2, all else our own bug."""
    try:
        return command()
    except KeyboardInterrupt:
        sys.stderr.write(f"\n{program}: interrupted\n")
        return STATUS_INTERRUPTED
    except error_of_user as error:
        return fail(program, error)
    except OSError as error:
        if error.filename is None:
            raise
        return fail(program, f"{error.filename}: {error.strerror}: choose another place, or make room there")
