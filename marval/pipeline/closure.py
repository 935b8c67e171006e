"""Which code the numbers of a stage depend on: what its program imports, directly or not.

The stage `code` of dvc.yaml writes for each program what that is and a hash of each file, results/code/PROGRAM.json; a stage
depends on its program's list, so that DVC runs it again when a file of the list changes, and never for another. Left out is
plumbing, which changes no number, and settings, which reach a stage as resolved values (results/PRESET/settings.json). Of code
the syntax counts, without comments and docstrings: a word in a comment must not cost three days of training.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import json
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from marval.artifacts import replacing
from marval.pipeline.graph import CODE_LISTS
from marval.pipeline.hashes import digest

CODE = ("marval", "metrics", "reports")  # the project's packages

# what stands around a stage's work: graph, records, launcher, messages
PLUMBING = (
    *("marval.pipeline", "marval.processes.gpus", "marval.processes.warm", "marval.processes.workers"),
    *("marval.config", "marval.errors", "marval.progress", "metrics.errors", "reports.errors"),
)
SETTINGS = ".settings"  # modules of this name hold fields and checks, and nothing that computes
PROSE = ".md"
RESOLVES = "marval.stages.settings"  # depends on everything that settings go through
MODULE = re.compile(rf"({'|'.join(CODE)})(\.\w+)+(:\w+)?")  # of a registry: a module, or MODULE:CLASS
DATA = re.compile(r"[\w.-]+(/[\w-][\w.-]*)*")  # of a module: a file or folder beside it
STAGES = Path("marval/stages")
OTHERS = {"report": "reports.__main__", "runs": RESOLVES}


def write_lists() -> None:
    """Write results/code/PROGRAM.json for every program that stages run."""
    shutil.rmtree(CODE_LISTS, ignore_errors=True)
    CODE_LISTS.mkdir(parents=True)
    for name in programs():
        with replacing(CODE_LISTS / f"{name}.json") as temporary:
            temporary.write_text(rendered(name))


def programs() -> dict[str, str]:
    """{name: module}: those in marval/stages, the report, and what writes the lists of runs.yaml."""
    stages = {path.stem: f"marval.stages.{path.stem}" for path in sorted(STAGES.glob("*.py"))}
    return {name: module for name, module in stages.items() if name != "__init__"} | OTHERS


@functools.cache
def rendered(name: str) -> str:
    """The text of a program's list, by the code as it is now."""
    return json.dumps({str(path): _hash(path) for path in files_of(name)}, indent=1) + "\n"


def files_of(name: str) -> list[Path]:
    """Files, relative to the repository, that a program's numbers depend on."""
    module = programs()[name]
    return sorted(closure(module, everything=module == RESOLVES))


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


@functools.cache
def _named_files(module: Path) -> tuple[Path, ...]:
    """Files beside a module that its strings name, and those in folders that they name."""
    return tuple(_found_beside(module))


def _found_beside(module: Path) -> Iterator[Path]:
    names = {
        n.value for n in ast.walk(_tree(module)) if isinstance(n, ast.Constant) and isinstance(n.value, str)
    }
    for name in names:
        if DATA.fullmatch(name) and name.strip(".") and (path := module.parent / name).exists():
            yield from (
                f for f in (_content(path) if path.is_dir() else [path]) if f.suffix not in (".py", PROSE)
            )


def _content(folder: Path) -> Iterator[Path]:
    """Its files, without bytecode, and without modules that only say what a package is."""
    files = (p for p in folder.rglob("*") if p.is_file() and p.suffix != ".pyc")
    return (p for p in files if p.suffix != ".py" or _has_code(p))


@functools.cache
def _hash(file: Path) -> str:
    if file.suffix != ".py":
        return digest(file)
    tree = ast.parse(file.read_bytes())
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
            and ast.get_docstring(node) is not None
        ):
            node.body = node.body[1:]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()
