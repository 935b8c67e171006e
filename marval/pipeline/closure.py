"""Which code the numbers of a stage depend on: what its program imports, directly or not.

`python -m marval code` writes the list of each stage into dvc.yaml, and a test holds dvc.yaml to it. Left out is plumbing, which
changes no number, and settings, which reach a stage as resolved values (results/PRESET/settings.json).
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from marval.pipeline.graph import CODE, PIPELINE
from marval.pipeline.reading import read_yaml

# what stands around a stage's work: graph, records, launcher, messages
PLUMBING = (
    *("marval.pipeline", "marval.processes.gpus", "marval.processes.warm", "marval.processes.workers"),
    *("marval.config", "marval.errors", "marval.progress", "metrics.errors", "reports.errors"),
)
SETTINGS = ".settings"  # modules of this name hold fields and checks, and nothing that computes
PROSE = ".md"
RESOLVES = "marval.stages.settings"  # depends on everything that settings go through
MODULE = re.compile(rf"({'|'.join(CODE)})(\.\w+)+(:\w+)?")  # of a registry: a module, or MODULE:CLASS
REPORT_COMMAND = re.compile(r"^python -m reports ")
STAGE_COMMAND = re.compile(r"^python -m marval (\w+)")


def declare() -> None:
    """Write the code dependencies of all stages into dvc.yaml."""
    text = PIPELINE.read_text()
    for stage, body in read_yaml(PIPELINE)["stages"].items():
        text = _replaced(text, stage, dependencies(body.get("do", body)["cmd"]))
    PIPELINE.write_text(text)


def dependencies(command: str) -> list[str]:
    """Paths, relative to the repository, of the code that a stage's command depends on: files, or whole folders."""
    program = _program(command)
    return _folded(closure(program, everything=program == RESOLVES))


def closure(program: str, everything: bool = False) -> set[Path]:
    """Files that a module's numbers depend on: modules, and files and folders beside them that they name, such as templates.

    `everything`: plumbing and settings too.
    """
    found: set[str] = set()
    waiting = [program]
    while waiting:
        module = waiting.pop()
        if module not in found and (everything or not _is_left_out(module)):
            found.add(module)
            waiting += _imports(module)
    files = {path for module in found if (path := _path(module)) and _has_code(path)}
    return files | {data for file in files for data in _named_files(file)}


def _program(command: str) -> str:
    if REPORT_COMMAND.match(command):
        return "reports.__main__"
    if (stage := STAGE_COMMAND.match(command)) and _path(f"marval.stages.{stage[1]}"):
        return f"marval.stages.{stage[1]}"
    return RESOLVES  # commands of the pipeline itself


def _is_left_out(module: str) -> bool:
    return module.endswith(SETTINGS) or any(
        module == name or module.startswith(f"{name}.") for name in PLUMBING
    )


def _path(module: str) -> Path | None:
    """The file of a module of the project."""
    stem = Path(*module.split("."))
    return next((path for path in (stem.with_suffix(".py"), stem / "__init__.py") if path.is_file()), None)


@functools.cache
def _tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text())


@functools.cache
def _imports(module: str) -> tuple[str, ...]:
    """Modules of the project that one names in imports or in strings, as registries do; packages above it included."""
    path = _path(module)
    if path is None:
        return ()
    named = {name for node in _nodes(_tree(path)) for name in _named(node)}
    parents = {
        ".".join(name.split(".")[:n]) for name in (*named, module) for n in range(1, name.count(".") + 1)
    }
    return tuple(sorted(name for name in named | parents if _path(name) is not None))


def _nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes, except below `if TYPE_CHECKING`."""
    for node in ast.iter_child_nodes(tree):
        if not (
            isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        ):
            yield node
            yield from _nodes(node)


def _named(node: ast.AST) -> Iterable[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names if alias.name.split(".")[0] in CODE]
    if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in CODE:
        return [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value.partition(":")[0]] if MODULE.fullmatch(node.value) else []
    if isinstance(node, ast.JoinedStr) and isinstance(head := node.values[0], ast.Constant):
        package = str(head.value).removesuffix(".")
        return _modules_of(package) if str(head.value).endswith(".") and MODULE.fullmatch(package) else []
    return []


def _modules_of(package: str) -> list[str]:
    """All modules of a package, one of which a formatted string names."""
    return [f"{package}.{path.stem}" for path in sorted(Path(*package.split(".")).glob("*.py"))]


def _has_code(module: Path) -> bool:
    """False for a package's empty __init__, or one that only says what the package is."""
    return not all(isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant) for n in _tree(module).body)


def _named_files(module: Path) -> Iterator[Path]:
    """Files beside a module that its strings name, and those in folders that they name."""
    names = {
        n.value for n in ast.walk(_tree(module)) if isinstance(n, ast.Constant) and isinstance(n.value, str)
    }
    for name in names:
        if re.fullmatch(r"[\w.-]+", name) and name.strip(".") and (path := module.parent / name).exists():
            yield from (
                f for f in (_content(path) if path.is_dir() else [path]) if f.suffix not in (".py", PROSE)
            )


def _folded(files: set[Path]) -> list[str]:
    """Sorted; a folder stands for its files where it has no others, prose included."""
    folders = {file.parent for file in files}
    whole = {folder for folder in folders if set(_content(folder)) <= files}
    largest = [f for f in whole if f.parent not in whole]
    alone = {file for file in files if not any(file.is_relative_to(folder) for folder in largest)}
    return sorted(str(path) for path in {*alone, *largest})


def _content(folder: Path) -> Iterator[Path]:
    """Its files, without bytecode, and without modules that only say what a package is."""
    files = (p for p in folder.rglob("*") if p.is_file() and p.suffix != ".pyc")
    return (p for p in files if p.suffix != ".py" or _has_code(p))


def _replaced(text: str, stage: str, code: list[str]) -> str:
    """dvc.yaml with the code among the dependencies of one stage exchanged; comments and all else stay."""
    match = re.search(rf"^  {stage}:.*?(?=^  \w|\Z)", text, re.M | re.S)
    if match is None:
        raise LookupError(f"{PIPELINE} has no stage {stage}")
    block = match[0]
    head = re.search(r"^( +)deps:\n", block, re.M)
    if head is None:
        raise LookupError(f"{PIPELINE}: {stage} has no list deps")
    kept = re.sub(rf"^ +- (?:{'|'.join(CODE)})(?:/.*)?\n", "", block[head.end() :], flags=re.M)
    lines = "".join(f"{head[1]}  - {path}\n" for path in code)
    return text[: match.start()] + block[: head.end()] + lines + kept + text[match.end() :]
