"""How the project hangs together: imports run one way, stages declare what they read, dvc.yaml is read as DVC reads it."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

CODE = ("marval", "metrics", "reports")
# package -> what it may import of the project; the order is that of the data
ALLOWED = {
    "marval.noise": {"marval.noise"},
    "marval.masking": {"marval.masking", "marval.config"},
    "marval.models": {"marval.models", "marval.config", "marval.artifacts", "marval.errors"},
    "marval.objectives": {"marval.objectives", "marval.noise"},
    "marval.data": {
        "marval.data", "marval.models", "marval.config", "marval.errors", "marval.progress", "marval.artifacts",
    },
    "marval.sampling": {
        "marval.sampling", "marval.models", "marval.noise", "marval.masking", "marval.objectives", "marval.config",
        "marval.artifacts", "marval.progress",
    },
    "marval.training": {
        "marval.training", "marval.batches", "marval.processes.group", "marval.config", "marval.errors", "marval.progress",
        "marval.artifacts",
    },
    "marval.methods": {
        "marval.methods", "marval.training", "marval.batches", "marval.sampling", "marval.models", "marval.noise",
        "marval.masking", "marval.objectives", "marval.data", "marval.config", "marval.errors",
    },
    "marval.artifacts": {"marval.errors"},
    "marval.pictures": {"marval.artifacts"},
    "marval.processes": {"marval.processes", "marval.errors"},
    "marval.weights": {
        "marval.weights", "marval.config", "marval.errors", "marval.progress", "marval.artifacts",
    },
    "marval.costs": {
        "marval.costs", "marval.methods", "marval.training", "marval.batches", "marval.data", "marval.sampling", "marval.models",
        "marval.masking", "marval.config",
    },
    "marval.timing": {"marval.timing", "marval.costs", "marval.sampling", "marval.models", "marval.config", "marval.errors"},
    "marval.pipeline": {
        "marval.pipeline", "marval.processes.group", "marval.processes.nvml", "marval.weights", "marval.data.settings",
        "marval.data.sources",
        "marval.methods.settings", "marval.models.settings", "marval.sampling.settings", "marval.timing.settings",
        "marval.noise", "marval.config", "marval.errors", "marval.artifacts", "metrics.settings", "metrics.judges.section",
    },
    "marval.plan": {
        "marval.plan", "marval.pipeline", "marval.costs", "marval.timing", "marval.weights", "marval.data", "marval.models",
        "marval.masking", "marval.errors", "marval.artifacts", "marval.progress",
    },
    "marval.stages": {"marval", "metrics"},
    "metrics": {"metrics"},
    "reports": {"reports"},
}  # fmt: skip


def modules(root: Path) -> list[Path]:
    return sorted(p for package in CODE for p in (root / package).rglob("*.py"))


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= (
                {f"{node.module}.{alias.name}" for alias in node.names}
                if node.module in CODE
                else {node.module}
            )
            assert node.level == 0, f"{path}: relative import"
    return {name for name in names if name.split(".")[0] in CODE}


def covers(allowed: str, name: str) -> bool:
    return name == allowed or name.startswith(f"{allowed}.")


@pytest.mark.parametrize("package", ALLOWED)
def test_imports_run_one_way(root, package):
    seen = 0
    for path in modules(root):
        module = ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
        if covers(package, module):
            seen += 1
            wrong = {n for n in imported(path) if not any(covers(a, n) for a in ALLOWED[package])}
            assert not wrong, f"{module} imports {sorted(wrong)}"
    assert seen, f"{package} has no module"


def test_only_commands_know_the_console(root):
    """It prints and parses; libraries and stages do not, so that each package can be used without it."""
    for path in modules(root):
        names = {
            name
            for node in ast.walk(ast.parse(path.read_text()))
            for name in (
                [alias.name for alias in node.names] if isinstance(node, ast.Import)
                else [node.module] if isinstance(node, ast.ImportFrom) else []
            )
        }  # fmt: skip
        assert "console" not in names or path.name in ("__main__.py", "cli.py"), path
    assert not imported(root / "console/__init__.py")


def test_every_package_of_the_method_has_its_rule(root):
    single = {
        "marval.batches",
        "marval.config",
        "marval.errors",
        "marval.progress",
    }  # used by all, they import next to nothing
    packages = {
        f"marval.{p.stem}"
        for p in (root / "marval").iterdir()
        if p.suffix == ".py" or (p / "__init__.py").is_file()
    }
    assert packages - {"marval.__init__", "marval.__main__"} - single <= ALLOWED.keys()


def test_only_stages_and_commands_know_the_metrics(root):
    """The pipeline knows their settings, which import no torch, and nothing else of them."""
    for path in (root / "marval").rglob("*.py"):
        if not {"stages", "pipeline"} & set(path.parts) and path.name != "__main__.py":
            assert not any(covers("metrics", n) for n in imported(path)), path


def pipeline(root: Path) -> dict[str, dict]:
    """Stage -> its entry in dvc.yaml, for one item where it has several."""
    return {
        name: body.get("do", body)
        for name, body in yaml.safe_load((root / "dvc.yaml").read_text())["stages"].items()
    }


def test_the_folder_of_stages_holds_programs_alone(root):
    declared = pipeline(root)
    for path in (root / "marval/stages").glob("*.py"):
        if path.name == "__init__.py":
            continue
        tree = ast.parse(path.read_text())
        functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert functions & {"run", "write_settings"}, path.name
        assert (ast.get_docstring(tree) or "").startswith(f"Stage `{path.stem}`: "), path.name
        assert declared[path.stem]["cmd"].startswith(f"python -m marval {path.stem} "), path.name


def test_reading_settings_and_graph_takes_no_torch(root):
    """The Snakefile is parsed once for each job of a cluster; torch takes seconds to import."""
    light = ["preset", "items", "graph", "state", "missing", "roles", "resources", "files", "closure"]
    settings = [
        ".".join(p.relative_to(root).with_suffix("").parts) for p in root.glob("marval/*/settings.py")
    ]
    names = [*(f"marval.pipeline.{name}" for name in light), *settings]
    names.remove("marval.stages.settings")
    code = f"import {', '.join(names)}, sys; print([m for m in ('torch', 'sklearn', 'datasets', 'dvc') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")


@pytest.mark.slow
def test_light_reader_agrees_with_dvc(root, tmp_path, monkeypatch):
    """On all presets at once, so that every stage has an item."""
    from dvc.repo import Repo

    from marval.pipeline.graph import active_graph
    from marval.pipeline.items import refresh

    shutil.copytree(root / "workflow/presets", tmp_path / "workflow/presets")
    for file in ("dvc.yaml", "workflow/weights.yaml"):
        shutil.copy(root / file, tmp_path / file)
    names = sorted(path.stem for path in (root / "workflow/presets").glob("*.yaml"))
    (tmp_path / "params.yaml").write_text(yaml.safe_dump({"presets": names}))
    monkeypatch.chdir(tmp_path)
    refresh()
    resolved = {stage.addressing: stage for stage in Repo.init(str(tmp_path), no_scm=True).index.stages}
    ours = active_graph().stages
    assert ours.keys() == resolved.keys()
    assert {stage.kind for stage in ours.values()} == pipeline(root).keys()
    for address, stage in resolved.items():
        mine = ours[address]
        assert mine.command == stage.cmd
        assert {str(p) for p in mine.outputs} == {out.def_path for out in stage.outs}
        plain = {dep.def_path for dep in stage.deps if not hasattr(dep, "read_params")}
        assert {str(p) for p in mine.dependencies} == plain
        params = {dep.def_path: set(dep.params) for dep in stage.deps if hasattr(dep, "read_params")}
        assert {str(f): set(keys) for f, keys in mine.parameters.items()} == params
        assert mine.meta == (stage.meta or {})


# what else of the preset a name reads
READS = {
    "variant_seeds": {"variants"},  # the seeds of each are written out in the resolved settings
    "models": {"distill", "reinforce"},
    "model_seeds": {"seeds", "teacher_seeds", "distill", "reinforce"},
    "teachers": {"seeds"},
    "first_teacher": {"seeds"},
    "trained_tokenizer": {"tokenizer"},
    "official_tokenizer": {"tokenizer"},
}
# parameters that depend on the item: published weights replace one of two trainings
TEMPLATED = {"${item.variant}": {"tokenizer", "teacher"}}
# a teacher's seed is in the name of a file that these make or depend on
IN_A_NAME = {name: {"seeds"} for name in ("official", "speed", "distill", "reinforce")}


def is_preset(node: ast.AST) -> bool:
    return (isinstance(node, ast.Attribute) and node.attr in ("preset", "latency")) or (
        isinstance(node, ast.Name) and node.id == "preset"
    )


def test_stages_read_the_parameters_that_they_declare(root):
    declared_by = pipeline(root)
    for path in (root / "marval/stages").glob("*.py"):
        if path.name in ("__init__.py", "settings.py"):
            continue
        declared = {
            name
            for entry in declared_by[path.stem].get("params", [])
            for keys in entry.values()
            for key in keys
            for name in TEMPLATED.get(key, {key.split(".")[0]})
        }
        names = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and is_preset(node.value):
                names |= READS.get(node.attr, {node.attr})
        assert names - IN_A_NAME.get(path.stem, set()) == declared, path.name
