"""What a variant is follows from its role in settings.json, never from its name."""

from __future__ import annotations

import ast
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import made_up
import pytest

import reports.claims
from reports.claims import as_rows, evaluate
from reports.figures.style import colour
from reports.paper import Paper
from reports.provenance import Provenance
from reports.results import INPAINTED, Results
from reports.roles import Role, Roles
from reports.tables import all_tables

PACKAGE = Path(reports.__file__).parent
NAMES = list(made_up.settings()["variants"])
# every variant gets the name of another one, so that whoever goes by names takes the wrong one
OTHER = dict(zip(NAMES, [*NAMES[5:], *NAMES[:5]], strict=True))
# what a variant has in-painted is scored under a name that follows from its own
OTHER |= {f"{INPAINTED}{name}": f"{INPAINTED}{other}" for name, other in OTHER.items()}


def rename(project: Path) -> None:
    """Give every variant of a made-up project its name in OTHER."""
    root = project / "results/made-up"
    settings = json.loads((root / "settings.json").read_text())
    settings["variants"] = {OTHER[name]: variant for name, variant in settings["variants"].items()}
    made_up.write_json(root / "settings.json", settings)
    rows = json.loads((root / "speed.json").read_text())
    made_up.write_json(root / "speed.json", [row | {"variant": OTHER[row["variant"]]} for row in rows])
    for folder in ("metrics", "samples"):
        old = (root / folder).rename(root / f"{folder}-as-named-before")
        for path in old.iterdir():
            new = root / folder / f"{OTHER.get(path.stem, path.stem)}{path.suffix}"
            new.parent.mkdir(exist_ok=True)
            path.rename(new)
        old.rmdir()


def findings(results: Results, spell: Callable[[str], str]) -> tuple[Any, dict[str, str]]:
    """(claims without hashes, the paper's tables), each text in another spelling."""
    rows = as_rows(evaluate(results, Paper()), results)
    for row in rows:
        row["evidence"] = [entry["file"] for entry in row["evidence"]]
    tables = all_tables(results, Paper(), Provenance(results))
    written = {id: spell(tables[id].to_csv()) for id in ("table1", "table2", "table3", "hacking", "speedups")}
    return json.loads(spell(json.dumps(rows))), written


def with_other_names(text: str) -> str:
    """A text as it reads once every variant that it names has its name in OTHER."""
    names = "|".join(sorted(map(re.escape, OTHER), key=len, reverse=True))
    return re.sub(rf"(?<![\w-])({names})(?![\w-])", lambda match: OTHER[match[1]], text)


def test_claims_and_tables_are_equal_whatever_the_variants_are_called(project: Path) -> None:
    before = findings(made_up.opened(project), with_other_names)
    rename(project)
    after = findings(made_up.opened(project), lambda text: text)
    assert after[0] == before[0]
    assert after[1] == before[1]
    assert {row["verdict"] for row in after[0]} == {"reproduced"}


def literals(file: Path) -> list[str]:
    """String constants of a module that are no docstrings."""
    tree = ast.parse(file.read_text())
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings
    ]


@pytest.mark.parametrize(
    "file", sorted(PACKAGE.rglob("*.py")), ids=lambda f: f.relative_to(PACKAGE).as_posix()
)
def test_no_module_spells_a_variants_name(file: Path) -> None:
    # "teacher-" is what an f-string with a number, or a prefix, leaves
    assert not [text for text in literals(file) if re.match(r"teacher-(\d+)?$|marval", text)]


def test_the_guidance_grid_and_the_orders_are_those_of_the_settings() -> None:
    roles = Roles(made_up.settings())
    assert roles.guidance_grid == {1.0: "marval-w1", 1.2: "marval", 2.0: "marval-w2", 4.0: "marval-w4"}
    assert list(roles.orders("marval")) == ["random", "raster", "centre-out"]
    assert roles.orders("teacher-30") == {"random": "teacher-30"}
    assert roles.ordered_teacher == "teacher-100"
    assert list(roles.teachers) == list(made_up.STEPS)


def test_orders_of_the_teacher_are_none_of_the_students() -> None:
    settings = made_up.settings()
    teacher = settings["variants"]["teacher-30"]
    settings["variants"]["a-first"] = teacher | {"role": "order", "order": "raster"}
    roles = Roles(settings)
    assert roles.orders("teacher-30") == {"random": "teacher-30", "raster": "a-first"}
    assert roles.orders("marval")["raster"] == "marval-raster"


def test_variants_that_differ_in_one_setting_are_found_whatever_their_seeds_sets_and_roles() -> None:
    settings = made_up.settings()
    settings["variants"]["marval-k4"] |= {"seeds": [7], "sets": 3}
    roles = Roles(settings)
    assert roles.differing_in("ar_steps", "marval") == ["marval", "marval-k4"]
    assert roles.differing_in("order", "marval") == ["marval", "marval-raster", "marval-centre-out"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"role": "pupil"}, "'pupil' is not a valid Role"),
        ({"role": "student"}, "2 variants have the role student"),
        ({}, "KeyError 'role'"),
    ],
    ids=["unknown", "twice", "none"],
)
def test_roles_that_make_no_sense_are_a_damaged_file(project: Path, change: dict, words: str) -> None:
    settings = made_up.settings()
    settings["variants"]["marval-k4"] = {"model": "marval", "diffusion_steps": 1} | change
    made_up.write_json(project / "results/made-up/settings.json", settings)
    (problem,) = made_up.opened(project).problems
    assert problem.startswith("results/made-up/settings.json is damaged")
    assert words in problem


def test_a_colour_tells_a_role() -> None:
    shown = [colour(role) for role in (Role.TEACHER, Role.STUDENT, Role.REINFORCED, None)]
    assert len(set(shown)) == 4
    assert colour(Role.ABLATION) == colour(None)


# --- claims, metrics and judges that come anew --------------------------------------------------


@pytest.mark.parametrize(
    ("role", "ids"),
    [
        ("teacher", {"C2", "C3"}),
        ("student", {"C1", "C2", "C3", "C4", "C5"}),
        ("order", {"C1"}),
        ("reinforced", {"C4"}),
        ("guidance", {"C5"}),
    ],
)
def test_a_claim_without_a_variant_for_one_of_its_roles_is_not_attempted(
    project: Path, role: str, ids: set[str]
) -> None:
    settings = made_up.settings()
    for variant in settings["variants"].values():
        variant["role"] = "ablation" if variant["role"] == role else variant["role"]
    made_up.write_json(project / "results/made-up/settings.json", settings)
    claims = evaluate(made_up.opened(project), Paper())
    why = f"no variant has the role {role} in preset made-up."
    assert {claim.id for claim in claims if claim.why == why} == ids
    assert {claim.id for claim in claims if claim.verdict == "not attempted"} == ids


CLAIM = """
from reports.claims.model import Claim, Part, above
from reports.roles import Role


def check(entry, results, paper):
    row = results.scores(Role.STUDENT)["class_accuracy"]
    bound = paper.tolerance(entry["id"], "least")[0]
    part = Part("accuracy", above(row.estimate, bound), "it was measured", row.estimate, bound, files=(row.file,))
    return Claim(entry, "proxy", "class accuracy", None, row.estimate, [part])
"""
ENTRY = """
  - id: C9
    module: recognised
    roles: [student]
    claim: Images are recognised.
    title: Images are recognised
    source: nobody
    preset: imagenet256-base
    tolerances: {least: {value: 0.9, reason: made up}}
"""
AFTER = "\ndiscrepancies:"  # the claims end there


def test_a_claim_is_a_module_and_its_entry_in_paper_yaml(
    complete: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "recognised.py").write_text(CLAIM)
    monkeypatch.setattr(reports.claims, "__path__", [*reports.claims.__path__, str(tmp_path)])
    text = (PACKAGE / "paper.yaml").read_text()
    assert text.count(AFTER) == 1
    (tmp_path / "paper.yaml").write_text(text.replace(AFTER, ENTRY + AFTER))
    results = made_up.opened(complete)
    claims = evaluate(results, Paper(tmp_path / "paper.yaml"))
    assert [claim.id for claim in claims] == ["C1", "C2", "C3", "C4", "C5", "C9"]
    row = as_rows(claims, results)[-1]
    assert (row["verdict"], row["source"]) == ("reproduced", "nobody")
    assert row["evidence"][0]["file"] == "results/made-up/metrics/marval.json"


def test_every_claim_of_the_paper_names_a_module_and_known_roles() -> None:
    for entry in Paper().claims.values():
        assert (PACKAGE / "claims" / f"{entry['module']}.py").is_file()
        assert entry["roles"]
        assert set(entry["roles"]) <= set(Role)


def test_a_metric_and_a_judge_that_are_new_need_no_word_here(project: Path) -> None:
    root = project / "results/made-up"
    for variant, value in (("marval", 1.0), ("marval-rl", 1.5)):
        rows = json.loads((root / f"metrics/{variant}.json").read_text())
        for name, title, protocol in (
            ("sharpness", "Sharpness of edges", {}),
            ("taste", "Taste", {"role": "unseen judge"}),
            ("untitled_measure", None, {}),
        ):
            rows.append(made_up.metric_row(name, value) | {"title": title, "protocol": protocol})
        made_up.write_json(root / f"metrics/{variant}.json", rows)
    results = made_up.opened(project)
    tables = all_tables(results, Paper(), Provenance(results))
    assert {"Sharpness of edges", "Taste", "untitled measure"} <= set(tables["ablations"].frame.columns)
    judges = dict(zip(tables["table2"].frame["judge"], tables["table2"].frame["role"], strict=True))
    assert judges["Taste (digits-cnn)"] == "unseen judge"
    assert not any(judge.startswith("Sharpness") for judge in judges)
    watched = dict(zip(tables["hacking"].frame["quantity"], tables["hacking"].frame["role"], strict=True))
    assert (watched["Taste"], watched["Sharpness of edges"]) == ("unseen judge", "price")


def test_another_reward_is_drawn_and_told_as_such(complete: Path, tmp_path: Path) -> None:
    from reports.figures.hacking import reward_hacking

    project = tmp_path / "project"
    shutil.copytree(complete, project)
    for path in (project / "results/made-up/watch").iterdir():
        made_up.write_json(path, json.loads(path.read_text()) | {"reward": "clip_score"})
    drawing = reward_hacking(made_up.opened(project))
    assert drawing is not None
    assert drawing.description.startswith("training reward from 54.05 to 55.55; PickScore from 2.90 to 6.90")
