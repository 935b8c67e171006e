"""The commands `marval`, `metrics`, `reports`: version, help whose examples parse, one style of messages, what is installed."""

import argparse
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from importlib import import_module
from pathlib import Path

import pytest

import console
from console import fail, told, version_text
from marval.__main__ import main as marval_main
from marval.__main__ import parser as marval_parser
from marval.plan.hardware import CARDS
from metrics.cli import parser as metrics_parser
from metrics.errors import UserError
from reports.__main__ import parser as reports_parser
from reports.__main__ import with_build

PARSERS = {"marval": marval_parser, "metrics": metrics_parser, "reports": reports_parser}


@pytest.fixture(scope="module")
def project(root: Path) -> dict:
    return tomllib.loads((root / "pyproject.toml").read_text())


def test_version_is_the_projects_with_the_commit_of_a_checkout(root, tmp_path, monkeypatch):
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=True
    ).stdout
    number, _, rest = version_text(root).partition(" ")
    assert rest.startswith("(commit ")
    assert commit.startswith(rest.removeprefix("(commit ").removesuffix(")"))
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "7.8"\n')
    assert version_text(tmp_path) == "7.8"  # unpacked from an archive: no commit
    (tmp_path / ".git").mkdir()  # none that git takes
    assert version_text(tmp_path) == "7.8"
    monkeypatch.setattr(console, "version", lambda name: f"{name} as installed")
    assert version_text(tmp_path / "site-packages") == "marval as installed"
    assert number == tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]


@pytest.mark.parametrize("program", PARSERS)
def test_version_goes_to_stdout_and_ends_well(program, capsys):
    with pytest.raises(SystemExit) as ended:
        PARSERS[program]().parse_args(["--version"])
    assert not ended.value.code
    assert capsys.readouterr().out == f"{program} {version_text()}\n"


def parsers(top: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Itself and those of its commands."""
    yield top
    for action in top._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.values()


@pytest.mark.parametrize("program", PARSERS)
def test_help_has_examples_that_parse_and_says_what_each_command_does(program):
    top, *commands = parsers(PARSERS[program]())
    assert top.epilog
    assert all(command.description for command in commands)
    lines = [
        line
        for p in (top, *commands)
        for line in (p.epilog or "").removeprefix("examples:").strip().splitlines()
    ]
    for line in lines:
        name, *arguments = shlex.split(line, comments=True)
        assert name == program
        top.parse_args(with_build(arguments) if program == "reports" else arguments)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (["digits"], ["build", "digits"]),
        (["--results", "here", "digits"], ["build", "--results", "here", "digits"]),
        (["verdicts"], ["verdicts"]),
        (["--version"], ["--version"]),
        ([], []),
    ],
)
def test_a_preset_in_place_of_a_command_of_reports_builds_its_report(typed, meant):
    assert with_build(typed) == meant


def raising(error: BaseException):
    def command() -> int:
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (UserError("a.npz: no such file"), 2, "metrics: error: a.npz: no such file"),
        (
            OSError(28, "No space left", "b.npz"),
            2,
            "metrics: error: b.npz: No space left: choose another place, or make room there",
        ),
        (KeyboardInterrupt(), 130, "metrics: interrupted"),
    ],
)
def test_what_a_person_can_mend_is_one_line(error, status, line, capsys):
    assert told("metrics", raising(error), UserError) == status
    assert capsys.readouterr().err.strip() == line


def test_our_own_bugs_keep_their_traceback():
    for error in (ValueError("a bug"), OSError("of no file")):
        with pytest.raises(type(error)):
            told("metrics", raising(error), UserError)
    assert told("metrics", lambda: 1, UserError) == 1


def test_all_three_say_errors_alike(capsys):
    for program in PARSERS:
        assert fail(program, "what, where, what to do") == 2
        with pytest.raises(SystemExit) as ended:
            PARSERS[program]().parse_args(["no-such-command"])
        assert ended.value.code == 2
        ours, *usage, theirs = capsys.readouterr().err.splitlines()
        assert ours == f"{program}: error: what, where, what to do"
        assert theirs.startswith(f"{program}: error: ")
        assert usage[0].startswith(f"usage: {program} ")


def test_the_installed_command_refuses_another_checkout(tmp_path, monkeypatch, capsys):
    """Its stages would record the code that lies here, and not the code that runs."""
    (tmp_path / "dvc.yaml").touch()
    (tmp_path / "marval").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["marval", "settings", "digits"])
    assert marval_main() == 2
    assert "run `python -m marval` here" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir() if path.name not in ("dvc.yaml", "marval")] == []


def test_help_says_what_each_stage_does_and_which_gpus_a_plan_knows():
    (commands,) = (a for a in marval_parser()._actions if isinstance(a, argparse._SubParsersAction))
    said = {choice.dest: choice.help for choice in commands._choices_actions}
    assert said["tokenizer"] == "stage: train the KL autoencoder"
    assert min(len(text) for text in said.values()) > len("stage: what it does")
    assert "settings" not in [name for name, text in said.items() if text.startswith("stage: ")]
    words = commands.choices["plan"].format_help().replace(",", " ").split()
    assert set(CARDS) <= set(words)


def test_version_and_help_import_no_heavy_package(root):
    code = (
        "import sys, marval.__main__ as a, metrics.__main__ as b, metrics.cli as c, reports.__main__ as d; "
        "[p.format_help() for p in (a.parser(), c.parser(), d.parser())]; "
        "print([m for m in ('torch', 'numpy', 'pydantic', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_commands_to_install_are_there(project):
    assert project["project"]["scripts"].keys() == PARSERS.keys()
    for target in project["project"]["scripts"].values():
        module, _, function = target.partition(":")
        assert callable(getattr(import_module(module), function))


def test_packages_are_installed_with_their_data(root, project):
    setuptools = project["tool"]["setuptools"]
    patterns = setuptools["package-data"]["*"]
    tracked = subprocess.run(
        ["git", "ls-files", *PARSERS, "console"], cwd=root, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    for path in map(Path, tracked):
        assert any(fnmatch(path.parts[0], name) for name in setuptools["packages"]["find"]["include"]), path
        assert path.suffix == ".py" or any(fnmatch(path.name, pattern) for pattern in patterns), path


def test_set_up_builds_with_the_locked_setuptools(root, project):
    from packaging.requirements import Requirement

    locked = dict(line.split()[0].split("==") for line in (root / "requirements.txt").open() if "==" in line)
    for line in project["build-system"]["requires"]:
        requirement = Requirement(line)
        assert locked[requirement.name] in requirement.specifier
