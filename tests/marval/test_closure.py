"""Which code a stage depends on is derived from what its program imports; its list is a dependency of the stage."""

import contextlib
import json
from pathlib import Path

import pytest
import yaml
from code_lists import forget

from marval.pipeline import closure

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
    "marval/garden/tools/spade.py": 'FOLDER, FILE = "shapes", "roots/deep.json"',
    "marval/garden/tools/rake.py": "SIZE = 1",
    "marval/garden/tools/shapes/flat.json": "{}",
    "marval/garden/tools/shapes/README.md": "prose",
    "marval/garden/tools/roots/deep.json": "{}",
    "marval/garden/tools/roots/other.json": "named by nothing",
    "marval/garden/weeds/__init__.py": "",
    "marval/garden/weeds/nettle.py": "SIZE = 1",
    "marval/garden/weeds/thistle.py": "SIZE = 1",
    "marval/stages/bed.txt": "a template",
    "marval/stages/other.txt": "named by nothing",
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def _nothing_known_of_other_folders():
    """Files are known by relative names, and other tests look at other folders."""
    forget()


@pytest.fixture
def garden(tmp_path, monkeypatch):
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("\n        ", "\n"))
    monkeypatch.chdir(tmp_path)
    forget()
    yield
    forget()


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
        "marval/garden/tools/roots/deep.json",  # a file that a string names with its folder
    }


def test_everything_has_settings_and_plumbing_as_well(garden):
    more = closure.closure("marval.stages.grow", everything=True) - closure.closure("marval.stages.grow")
    assert {str(path) for path in more} == {
        "marval/errors.py",
        "marval/garden/settings.py",
        "marval/garden/unseen.py",
    }


def written() -> dict[str, dict[str, str]]:
    """What the lists say by the files as they are now."""
    forget()
    closure.write_lists()
    return {path.stem: json.loads(path.read_text()) for path in Path("results/code").iterdir()}


def test_lists_have_a_hash_of_each_file_of_each_program(garden):
    lists = written()
    assert lists.keys() == {"grow", "report", "runs"}
    assert lists["grow"].keys() == {str(path) for path in closure.closure("marval.stages.grow")}


@pytest.mark.parametrize(
    ("path", "text", "changes"),
    [
        ("marval/garden/roses.py", "SIZE = 2", True),
        ("marval/garden/roses.py", '"""A rose."""\nSIZE = (\n    1\n)  # petals', False),
        ("marval/garden/roses.py", 'SIZE = 1\ndef grow():\n    return "up"', True),
        ("marval/garden/tools/shapes/flat.json", "[]", True),
        ("marval/garden/tools/shapes/README.md", "more prose", False),
        ("marval/garden/settings.py", "SIZE = 2", False),
        ("marval/garden/idle.py", "SIZE = 2", False),
    ],
)
def test_a_list_changes_with_statements_of_its_own_files_alone(garden, path, text, changes):
    before = written()
    Path(path).write_text(text)
    assert (written() != before) is changes


def stages(root: Path) -> dict[str, dict]:
    """Stage -> its entry in dvc.yaml, for one item where it has several."""
    content = yaml.safe_load((root / "dvc.yaml").read_text())["stages"]
    return {name: body.get("do", body) for name, body in content.items()}


LISTED_AS = {"latency_report": "report"}  # stage -> program, where they have different names


@pytest.fixture(scope="module")
def listed(root: Path) -> dict[str, list[Path]]:
    """Stage -> the code that it depends on."""
    with contextlib.chdir(root):
        return {name: closure.files_of(LISTED_AS.get(name, name)) for name in stages(root) if name != "code"}


def test_every_stage_depends_on_its_programs_list(root):
    for name, body in stages(root).items():
        code = [dep for dep in body["deps"] if dep.startswith("results/code/")]
        assert code == ([] if name == "code" else [f"results/code/{LISTED_AS.get(name, name)}.json"])
        assert not [dep for dep in body["deps"] if dep.split("/")[0] in closure.CODE and name != "code"]


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
def test_stages_depend_on_what_their_numbers_depend_on(listed, path, there, absent):
    within = {name for name, code in listed.items() if any(dep.is_relative_to(path) for dep in code)}
    assert within >= there
    assert not within & absent


def test_prose_makes_no_stage_stale(root, listed):
    """Neither as part of a list, nor for DVC, which watches whole packages for the lists."""
    assert not [path for code in listed.values() for path in code if path.suffix == ".md"]
    assert "*.md" in (root / ".dvcignore").read_text().split()
