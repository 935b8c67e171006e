"""How the project hangs together: imports run one way, and the light reader of dvc.yaml agrees with DVC."""

import ast
from pathlib import Path

import pytest

# package -> what it may import of the project; the order is that of the data
ALLOWED = {
    "marval.noise": {"marval.noise"},
    "marval.masking": {"marval.config"},
    "marval.models": {"marval.models", "marval.config", "marval.artifacts", "marval.errors"},
    "marval.objectives": {"marval.objectives", "marval.noise"},
    "marval.data": {
        "marval.data", "marval.models", "marval.config", "marval.errors", "marval.progress", "marval.artifacts",
    },
    "marval.sampling": {"marval.sampling", "marval.models", "marval.noise", "marval.masking", "marval.objectives"},
    "marval.training": {
        "marval.training", "marval.batches", "marval.processes.group", "marval.config", "marval.errors", "marval.progress",
        "marval.artifacts",
    },
    "marval.methods": {
        "marval.methods", "marval.training", "marval.batches", "marval.sampling", "marval.models", "marval.noise",
        "marval.masking", "marval.objectives", "marval.data", "marval.config",
    },
    "marval.artifacts": {"marval.errors"},
    "marval.weights": {
        "marval.weights", "marval.config", "marval.errors", "marval.progress", "marval.artifacts",
    },
    "marval.costs": {
        "marval.costs", "marval.methods", "marval.training", "marval.batches", "marval.data", "marval.sampling", "marval.models",
        "marval.masking", "marval.config",
    },
    "marval.plan": {"marval"},
    "marval.stages": {"marval", "metrics"},
    "metrics": {"metrics"},
    "reports": {"reports"},
}  # fmt: skip


def modules(root: Path) -> list[Path]:
    return sorted(p for package in ("marval", "metrics", "reports") for p in (root / package).rglob("*.py"))


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            assert node.level == 0, f"{path}: relative import"
    return {name for name in names if name.split(".")[0] in ("marval", "metrics", "reports")}


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


def test_only_stages_and_commands_know_the_metrics(root):
    for path in (root / "marval").rglob("*.py"):
        if "stages" not in path.parts and path.name != "__main__.py":
            assert not any(covers("metrics", n) for n in imported(path)), path


@pytest.mark.slow
def test_light_reader_agrees_with_dvc(root, monkeypatch):
    from dvc.repo import Repo

    from marval.pipeline.graph import declaration
    from marval.pipeline.items import active_presets, expand

    monkeypatch.chdir(root)
    resolved = {stage.addressing: stage for stage in Repo(str(root)).index.stages}
    checked = 0
    for kind, items in expand(active_presets()).items():
        for key, item in items.items():
            stage = resolved[f"{kind}@{key}"]
            ours = declaration(kind, item["preset"], item.get("variant"), item.get("seed"))
            assert ours.command == stage.cmd
            assert {str(p) for p in ours.outputs} == {out.def_path for out in stage.outs}
            plain = {dep.def_path for dep in stage.deps if not hasattr(dep, "read_params")}
            assert {str(p) for p in ours.dependencies} == plain
            params = {dep.def_path: set(dep.params) for dep in stage.deps if hasattr(dep, "read_params")}
            assert {str(f): set(keys) for f, keys in ours.parameters.items()} == params
            checked += 1
    assert checked == len(resolved) - 1  # all but `runs`


# what a stage's code may read of the preset, beyond names that no stage's result depends on
READS = {"variant_seeds": {"seeds", "variants"}}
# parameters that depend on the item: published weights replace one of two trainings
TEMPLATED = {"${item.variant}": {"tokenizer", "teacher"}}


def test_stages_read_the_parameters_that_they_declare(root):
    import yaml

    pipeline = yaml.safe_load((root / "dvc.yaml").read_text())["stages"]
    for path in (root / "marval/stages").glob("*.py"):
        if path.stem not in pipeline:
            continue
        declared = {
            name
            for entry in pipeline[path.stem]["do"].get("params", [])
            for keys in entry.values()
            for key in keys
            for name in TEMPLATED.get(key, {key.split(".")[0]})
        }
        names = set()
        for node in ast.walk(ast.parse(path.read_text())):
            is_preset = isinstance(node, ast.Attribute) and (
                (isinstance(node.value, ast.Attribute) and node.value.attr == "preset")
                or (isinstance(node.value, ast.Name) and node.value.id == "preset")
            )
            if is_preset:
                names |= READS.get(node.attr, {node.attr})
        assert names == declared, path.name
