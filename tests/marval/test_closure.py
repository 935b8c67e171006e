"""Which code a stage depends on is derived from what its program imports, and dvc.yaml has exactly that."""

from pathlib import Path

import pytest
import yaml

from marval.pipeline import closure, graph

# path -> text of a made-up package; `grow` is a stage, `marval.errors` is plumbing
FILES = {
    "marval/stages/grow.py": """
        from __future__ import annotations
        from typing import TYPE_CHECKING
        from marval.errors import UserError
        from marval.garden import plants
        from marval.garden.settings import GardenConfig
        if TYPE_CHECKING:
            from marval.garden.typed import Shape
        TEMPLATE = "bed.txt"
        def run():
            from marval.garden.tools.spade import dig
    """,
    "marval/errors.py": "import marval.garden.unseen\nclass UserError(Exception): ...",
    "marval/garden/__init__.py": "import marval.garden.soil",
    "marval/garden/plants.py": """
        KINDS = {"rose": "marval.garden.roses", "oak": "marval.garden.trees:Oak"}
        def make(name):
            return f"marval.garden.weeds.{name}"
    """,
    "marval/garden/settings.py": "import marval.garden.unseen",
    **{f"marval/garden/{name}.py": "SIZE = 1" for name in ("soil", "roses", "trees", "typed", "unseen", "idle")},
    "marval/garden/tools/__init__.py": '"""Only says what it is."""',
    "marval/garden/tools/spade.py": 'FOLDER = "shapes"',
    "marval/garden/tools/rake.py": "SIZE = 1",
    "marval/garden/tools/shapes/flat.json": "{}",
    "marval/garden/tools/shapes/README.md": "prose",
    "marval/garden/weeds/__init__.py": "",
    "marval/garden/weeds/nettle.py": "SIZE = 1",
    "marval/garden/weeds/thistle.py": "SIZE = 1",
    "marval/stages/bed.txt": "a template",
    "marval/stages/other.txt": "named by nothing",
}  # fmt: skip


@pytest.fixture
def garden(tmp_path, monkeypatch):
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("\n        ", "\n"))
    monkeypatch.chdir(tmp_path)


def test_closure_is_what_the_numbers_depend_on(garden):
    found = {str(path) for path in closure.closure("marval.stages.grow")}
    assert found == {
        "marval/stages/grow.py",
        "marval/stages/bed.txt",  # a data file that a string names
        "marval/garden/__init__.py",  # a package that does something
        "marval/garden/soil.py",  # what that imports
        "marval/garden/plants.py",  # from PACKAGE import MODULE
        "marval/garden/roses.py",  # named by a registry's string
        "marval/garden/trees.py",  # likewise, with the class behind
        "marval/garden/weeds/nettle.py",  # a formatted string may name any module of a package
        "marval/garden/weeds/thistle.py",
        "marval/garden/tools/spade.py",  # imported within a function
        "marval/garden/tools/shapes/flat.json",  # in a folder that a string names, without its prose
    }


def test_everything_has_settings_and_plumbing_as_well(garden):
    more = closure.closure("marval.stages.grow", everything=True) - closure.closure("marval.stages.grow")
    assert {str(path) for path in more} == {
        "marval/errors.py",
        "marval/garden/settings.py",
        "marval/garden/unseen.py",
    }


def test_a_folder_stands_for_its_files_where_it_has_no_others(garden):
    assert closure.dependencies("python -m marval grow small --seed 0") == [
        "marval/garden/__init__.py",
        "marval/garden/plants.py",
        "marval/garden/roses.py",
        "marval/garden/soil.py",
        "marval/garden/tools/shapes/flat.json",  # the folder has prose as well
        "marval/garden/tools/spade.py",
        "marval/garden/trees.py",
        "marval/garden/weeds",
        "marval/stages/bed.txt",
        "marval/stages/grow.py",
    ]


PIPELINE = """\
stages:
  grow: # how plants come about
    foreach: ${presets}
    do:
      cmd: python -m marval grow ${item.preset}
      deps:
        - marval/gone.py
        - results/${item.preset}/seeds.json # written by hand
      outs:
        - results/${item.preset}/plants.json
"""


def test_declaring_exchanges_code_and_leaves_all_else(garden):
    Path("dvc.yaml").write_text(PIPELINE)
    closure.declare()
    listed = "".join(f"        - {path}\n" for path in closure.dependencies("python -m marval grow x"))
    assert Path("dvc.yaml").read_text() == PIPELINE.replace("        - marval/gone.py\n", listed)
    closure.declare()
    assert Path("dvc.yaml").read_text() == PIPELINE.replace("        - marval/gone.py\n", listed)


def stages(root: Path) -> dict[str, dict]:
    """Stage -> its entry in dvc.yaml, for one item where it has several."""
    content = yaml.safe_load((root / "dvc.yaml").read_text())["stages"]
    return {name: body.get("do", body) for name, body in content.items()}


def declared(root: Path) -> dict[str, list[str]]:
    """Stage -> the code among its dependencies."""
    return {
        name: [dep for dep in body["deps"] if dep.split("/")[0] in graph.CODE]
        for name, body in stages(root).items()
    }


def test_declared_code_is_the_derived_one(root, monkeypatch):
    """Where this fails, `python -m marval code` writes the right lists."""
    monkeypatch.chdir(root)
    for name, body in stages(root).items():
        assert declared(root)[name] == closure.dependencies(body["cmd"]), name


@pytest.mark.parametrize(
    ("path", "there", "absent"),
    [
        # settings reach stages as resolved values; only what resolves them depends on their code
        ("marval/methods/settings.py", {"settings", "runs"}, {"teacher", "distill", "sample"}),
        # how images are drawn retrains nothing, except where training draws
        ("marval/sampling/graphs.py", {"sample", "speed", "latency"}, {"teacher", "distill", "reinforce"}),
        ("marval/pictures.py", {"sample", "frames"}, {"teacher", "distill", "reinforce", "evaluate"}),
        ("marval/stages/frames.py", {"frames"}, {"teacher", "distill", "reinforce"}),
        ("marval/objectives/guidance.py", {"distill", "sample"}, {"teacher", "tokenizer"}),
        (
            "marval/training/seeding.py",
            {"teacher", "distill", "reinforce", "tokenizer", "judges"},
            {"sample"},
        ),
        (
            "marval/data/sources",
            {"prepare", "settings"},  # all others open what `prepare` left
            {"tokenizer", "encode", "judges", "showcase", "teacher"},
        ),
        ("marval/artifacts.py", {"encode", "teacher", "sample", "evaluate"}, {"report"}),
        ("reports/templates", {"report", "latency_report"}, {"evaluate", "sample"}),
    ],
)
def test_stages_depend_on_what_their_numbers_depend_on(root, path, there, absent):
    within = {
        name for name, code in declared(root).items() if any(Path(path).is_relative_to(dep) for dep in code)
    }
    assert within >= there
    assert not within & absent


def test_prose_makes_no_stage_stale(root):
    folders = {root / dep for code in declared(root).values() for dep in code if (root / dep).is_dir()}
    assert folders
    assert not [path for folder in folders for path in folder.rglob("*.md")]
