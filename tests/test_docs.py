"""The doors: every command in README and docs parses, every link leads somewhere, every preset and run time is as said."""

from __future__ import annotations

import argparse
import ast
import re
import shlex
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from marval import __main__ as marval_commands
from marval.pipeline.items import expand
from marval.pipeline.preset import load_preset
from metrics import cli as metrics_commands
from reports import __main__ as report_commands

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
    + [ROOT / folder / "README.md" for folder in ("config", "metrics", "reports/reference")]
)
LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```(\S*)([^\n]*)\n(.*?)^```$", re.M | re.S)
NAME = re.compile(r"^[A-Z][A-Z0-9_]*$|\.\.\.")  # stands for something: PRESET=NAME, STAGE, ...
SHELL = {
    "cd",
    "docker",
    "dvc",
    "git",
    "ln",
    "mkdir",
    "pre-commit",
    "sed",
    "source",
    "uv",
}  # syntax is checked, no more


@cache
def anchors(page: Path) -> set[str]:
    """GitHub's: lower case, without punctuation, blanks as hyphens."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text()), re.M)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


@cache
def defined(module: Path) -> set[str]:
    kinds = (ast.FunctionDef, ast.ClassDef)
    return {node.name for node in ast.walk(ast.parse(module.read_text())) if isinstance(node, kinds)}


def links(page: Path) -> list[tuple[str, str]]:
    found = LINK.findall(FENCE.sub("", page.read_text()))
    return [(text, target or picture) for text, target, picture in found]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    for text, target in links(page):
        path, _, anchor = target.partition("#")
        if "://" in target:
            continue
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{page.name}: {target}"
        if anchor:
            assert anchor in anchors(file), f"{page.name}: {target} is none of {sorted(anchors(file))}"
        if file.suffix == ".py":
            names = re.findall(r"`(\w+)`", text)
            assert set(names) <= defined(file), f"{page.name}: {path} does not define {names}"


def commands(page: Path) -> list[str]:
    """Lines of shell blocks, and commands in the first column of tables."""
    text = page.read_text()
    blocks = [body for language, _, body in FENCE.findall(text) if language in ("sh", "bash")]
    lines = [line for body in blocks for line in body.replace("\\\n", " ").splitlines()]
    cells = re.findall(r"^\| (`.+?`) \|", text, re.M)
    starts = (*SHELL, "make", "marval", "metrics", "reports", "pytest", "python", "snakemake")
    spans = [span for cell in cells for span in re.findall(r"`([^`]+)`", cell)]
    return [*lines, *(span for span in spans if span.split()[0] in starts and " " in span)]


COMMANDS = [(page, line) for page in PAGES for line in commands(page) if line.strip()]


@pytest.mark.parametrize(
    ("page", "line"), COMMANDS, ids=[f"{page.name}: {line.strip()[:60]}" for page, line in COMMANDS]
)
def test_every_command_parses(page: Path, line: str) -> None:
    subprocess.run(["bash", "-n", "-c", line], check=True)
    words = shlex.split(line, comments=True)
    for command in split_at(words, "&&"):
        check(command)


def split_at(words: list[str], separator: str) -> list[list[str]]:
    parts: list[list[str]] = [[]]
    for word in words:
        if word == separator:
            parts.append([])
        else:
            parts[-1].append(word)
    return [part for part in parts if part]


def check(words: list[str]) -> None:
    match words:
        case ["marval" | "metrics" | "reports", "--help"]:
            pass
        case ["python", "-m", "marval", *rest] | ["marval", *rest]:
            check_named(marval_commands.parser().parse_args(rest))
        case ["torchrun", *rest]:
            check(["python", *rest[rest.index("-m") :]])
        case ["python", "-m", "metrics", *rest] | ["metrics", *rest]:
            metrics_commands.parser().parse_args(rest)
        case ["python", "-m", "reports", *rest] | ["reports", *rest]:
            check_named(report_commands.parser().parse_args(report_commands.with_build(rest)))
        case ["python", "-m", "benchmarks", *_]:
            pass
        case ["make", *rest]:
            check_make(rest)
        case ["pytest", *rest]:
            paths = [word for word in rest if "/" in word]
            assert all((ROOT / path).exists() for path in paths), paths
        case ["snakemake", *rest]:
            if "--profile" in rest:
                assert (ROOT / rest[rest.index("--profile") + 1] / "config.yaml").is_file()
        case ["dvc", "repro", address]:
            check_stage(address)
        case ["dvc", "exp", "run", "-S", setting]:
            assert (ROOT / setting.partition(":")[0]).is_file(), setting
        case [program, *_]:
            assert program in SHELL, f"{program}: unknown program"


def check_make(words: list[str]) -> None:
    targets = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.M))
    settings = dict(word.split("=", 1) for word in words if "=" in word)
    asked = [word for word in words if "=" not in word]
    assert asked, "make without a target prints help"
    assert set(asked) <= targets
    assert settings.keys() <= {"CRATE", "PRESET", "PYTHON"}
    check_presets([settings["PRESET"]] if "PRESET" in settings else [])


def check_stage(address: str) -> None:
    stage, _, item = address.partition("@")
    entry = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"][stage]
    items = expand(["digits"])[entry["foreach"].strip("${}")]  # of the default, whatever is active here
    assert item in items, f"{address}: {stage} has the items {sorted(items)}"


def check_named(options: argparse.Namespace) -> None:
    """The presets among the arguments."""
    named = getattr(options, "presets", [getattr(options, "preset", None)])
    check_presets(name for name in named if name)


def check_presets(names) -> None:
    for name in names:
        known = (ROOT / f"workflow/presets/{name}.yaml").is_file()
        assert known or NAME.search(name) or f"presets/{name}.yaml" in docs(), f"there is no preset {name}"


@cache
def docs() -> str:
    """All pages: some show a preset."""
    return "".join(page.read_text() for page in PAGES)


def test_presets_that_pages_show_are_valid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(ROOT / "workflow", tmp_path / "workflow")
    monkeypatch.chdir(tmp_path)
    shown = [
        (match, body)
        for page in PAGES
        if page.name != "extending.md"  # has a test of its own
        for language, rest, body in FENCE.findall(page.read_text())
        if language == "yaml" and (match := re.search(r"new=(\S+)", rest))
    ]
    assert shown
    for match, body in shown:
        path = Path(match[1])
        assert not path.exists(), f"{path} is there already: link it"
        path.write_text(body)
        assert load_preset(path.stem).name == path.stem


def test_the_readme_quotes_run_times_of_the_one_file() -> None:
    """A row says the minutes themselves, or a range that they lie in."""
    rows = dict(re.findall(r"^\| `([\w-]+)` \|(.*)\|$", (ROOT / "README.md").read_text(), re.M))
    times = yaml.safe_load((ROOT / "docs/times.yaml").read_text())
    assert times
    for preset, taken in times.items():
        said = re.search(r"(?:(\d+) to )?(\d+) minutes", rows[preset])
        assert said, f"README's row of {preset} gives no minutes"
        low, high = int(said[1] or said[2]), int(said[2])
        assert low <= taken["minutes"] <= high, (
            f"{preset}: README {said[0]}, docs/times.yaml {taken['minutes']}"
        )


def test_citation_and_licence_agree_with_the_project() -> None:
    import tomllib

    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= citation.keys()  # what the schema requires
    assert citation["version"] == project["version"]
    assert citation["license"] == project["license"]["text"] == "MIT"
    assert (ROOT / "LICENSE").read_text().startswith("MIT License")
    papers = yaml.safe_load((ROOT / "reports/paper.yaml").read_text())
    for paper, reference in zip(("paper", "teacher_paper"), citation["references"], strict=True):
        assert reference["title"] == papers[paper]["title"]
        arxiv = re.search(r"arXiv ([\d.]+)", papers[paper]["reference"])
        assert arxiv
        assert reference["identifiers"][0]["value"] == f"arXiv:{arxiv[1]}"


def test_the_container_has_a_python_that_the_project_takes_and_sets_up_from_the_lock() -> None:
    import tomllib

    recipe = (ROOT / "Dockerfile").read_text()
    required = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    version = re.search(r"^FROM python:([\d.]+)", recipe, re.M)
    assert version
    assert version[1] in Requirement(f"python{required}").specifier
    packages, whole = recipe.split("make .venv/installed")
    assert "requirements.txt" in packages
    # the project is installed from all of its files, and not from the two of the first layer
    assert whole.index("COPY . .") < whole.index("make setup")
    assert re.search(r"^LOCKED := \.venv/installed$", (ROOT / "Makefile").read_text(), re.M)
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert ".git" not in ignored  # DVC needs a checkout
    assert ".venv" in ignored
