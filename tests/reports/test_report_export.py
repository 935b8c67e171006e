"""A crate stands alone: what is in it, and that a change anywhere is found without torch."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import made_up
import pandas as pd
import pytest

from reports.__main__ import main
from reports.errors import UserError
from reports.export import export
from reports.export.crate import METADATA, metadata, sha256
from reports.export.verify import verify
from reports.results import Results

PROJECT = Path(made_up.__file__).parents[2]


@pytest.fixture(scope="module")
def crate(reported: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Read only."""
    return export(Results.open("made-up", reported), tmp_path_factory.mktemp("crates") / "made-up")


@pytest.fixture
def copy(crate: Path, tmp_path: Path) -> Path:
    """To change."""
    return Path(shutil.copytree(crate, tmp_path / "crate"))


@pytest.fixture(scope="module")
def graph(crate: Path) -> dict[str, dict[str, Any]]:
    entities = json.loads((crate / METADATA).read_text())["@graph"]
    assert len({entity["@id"] for entity in entities}) == len(entities)
    return {entity["@id"]: entity for entity in entities}


def test_everything_but_what_training_needs_is_there(crate: Path, reported: Path) -> None:
    root = crate / "results/made-up"
    for name in ("report.html", "claims.json", "records/speed.json", "samples/marval.npz"):
        assert (root / name).read_bytes() == (reported / name).read_bytes()
    for folder in ("tables", "figures", "metrics", "watch"):
        assert {p.name for p in (root / folder).iterdir()} == {p.name for p in (reported / folder).iterdir()}
    assert (root / "judges/quality.json").is_file()
    assert not list(crate.rglob("*.safetensors"))


def test_metadata_describes_every_file_and_run(crate: Path, graph: dict[str, dict[str, Any]]) -> None:
    files = {p.relative_to(crate).as_posix() for p in crate.rglob("*") if p.is_file()} - {METADATA}
    root = graph["./"]
    assert {part["@id"] for part in root["hasPart"]} == files
    assert all(graph[name]["sha256"] == sha256(crate / name) for name in files)
    assert "ComputationalWorkflow" in graph[root["mainEntity"]["@id"]]["@type"]
    assert "https://w3id.org/ro/wfrun/workflow/0.5" in {profile["@id"] for profile in root["conformsTo"]}
    stage = graph["#evaluate@made-up-marval"]
    assert stage["result"] == {"@id": "results/made-up/metrics/marval.json"}
    assert (stage["startTime"], stage["endTime"]) == (
        "2026-01-02T03:04:05+00:00",
        "2026-01-02T03:04:17+00:00",
    )
    assert graph["#run"]["instrument"] == root["mainEntity"]
    assert graph["#run"]["endTime"] == "2026-01-02T03:05:10+00:00"  # of the teacher, the longest
    linked = [e[key] for e in graph.values() for key in ("object", "result", "mentions") if key in e]
    references = [ref["@id"] for link in linked for ref in (link if isinstance(link, list) else [link])]
    assert graph["README.md"]["about"] == {"@id": "./"}
    assert set(references) <= set(graph)


def test_what_the_profiles_require_is_there(graph: dict[str, dict[str, Any]]) -> None:
    """Each MUST of RO-Crate 1.1, Workflow RO-Crate 1.0, and Process and Workflow Run Crate 0.5 that concerns what is here."""
    descriptor, root = graph[METADATA], graph["./"]
    assert (descriptor["@type"], descriptor["about"]) == ("CreativeWork", {"@id": "./"})
    assert {"@id": "https://w3id.org/ro/crate/1.1"} in descriptor["conformsTo"]
    assert root["@type"] == "Dataset"
    assert all(root[key] for key in ("name", "description", "license"))
    assert re.fullmatch(r"\d{4}-\d{2}-\d{2}", root["datePublished"])
    claimed = [graph[profile["@id"]] for profile in root["conformsTo"]]
    assert all(profile["@type"] == "CreativeWork" for profile in claimed)
    assert {profile["@id"] for profile in claimed} >= {
        "https://w3id.org/ro/wfrun/process/0.5",
        "https://w3id.org/ro/wfrun/workflow/0.5",
    }
    workflow = graph[root["mainEntity"]["@id"]]
    assert {"File", "SoftwareSourceCode", "ComputationalWorkflow"} <= set(workflow["@type"])
    assert graph[workflow["programmingLanguage"]["@id"]]["@type"] == "ComputerLanguage"
    actions = [e for e in graph.values() if e["@type"] == "CreateAction"]
    tools = [graph[action["instrument"]["@id"]] for action in actions]
    assert all(tool is workflow or tool["@type"] == "SoftwareApplication" for tool in tools)
    assert workflow in tools


def test_what_is_left_out_still_links_the_stages(copy: Path) -> None:
    """By name and hash, a folder with what is in it: the teacher's weights are what distillation has read."""
    root = copy / "results/made-up"
    teacher, weights = "results/made-up/models/teacher", "results/made-up/models/teacher/seed-0.safetensors"
    record = json.loads((root / "records/teacher@made-up-0.json").read_text())
    record["outputs"] |= {
        "results/made-up/snapshots/teacher-s0": "f" * 32 + ".dir",
        "results/made-up/curves": "e" * 32 + ".dir",
    }
    made_up.write_json(root / "records/teacher@made-up-0.json", record)
    student = json.loads((root / "records/distill@made-up-marval-0.json").read_text())
    student["inputs"] = {teacher: "d" * 32 + ".dir"}
    made_up.write_json(root / "records/distill@made-up-marval-0.json", student)

    entities = {e["@id"]: e for e in metadata(copy, Results.open("made-up", root))["@graph"]}
    assert all(e["result"] for e in entities.values() if e["@type"] == "CreateAction")
    made = {ref["@id"] for ref in entities["#teacher@made-up-0"]["result"]}
    curves = {p.relative_to(copy).as_posix() for p in (root / "curves").iterdir()}
    assert made == {f"#{weights}", "#results/made-up/snapshots/teacher-s0"} | curves
    assert entities[f"#{weights}"]["md5"] == record["outputs"][weights]
    assert entities["#results/made-up/snapshots/teacher-s0"]["identifier"] == "f" * 32 + ".dir"
    assert "md5" not in entities["#results/made-up/snapshots/teacher-s0"]
    assert "#results/made-up/curves" not in entities
    assert entities["#distill@made-up-marval-0"]["object"] == {"@id": f"#{weights}"}
    assert {"@id": f"#{weights}"} not in entities["./"]["hasPart"]


def test_cards_and_the_cost(crate: Path) -> None:
    cards = {path.stem: path.read_text() for path in (crate / "cards").iterdir()}
    assert set(cards) == {
        "data",
        "marval",
        "marval-w1",
        "marval-w2",
        "marval-w4",
        "marval-no-l2",
        "marval-rl",
    }
    assert "| marval | Fréchet distance | 0.9" in cards["marval"]
    assert "models/marval/seed-0.safetensors" in cards["marval"]
    assert "34.00 s in 1 run" in cards["marval"]
    assert "mnist-5k" in cards["data"]
    cost = pd.read_csv(crate / "compute.csv").set_index("item")["value"]
    assert cost["machine"] == "made-up CPU, 2 cores"
    assert float(cost["training: wall time"]) == pytest.approx((65.2 + 34.0 + 6.5) / 3600, rel=0.01)
    assert float(cost["sampling and evaluation: wall time"]) == pytest.approx(60.0 / 3600, rel=0.01)


def test_a_second_machine_agrees_without_torch(crate: Path) -> None:
    """With torch impossible to import."""
    code = (
        "import sys; sys.modules['torch'] = None; from reports.__main__ import main; "
        f"sys.exit(main(['verify', {str(crate)!r}]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "5 verdicts as recomputed (C1 reproduced" in done.stdout


def resigned(copy: Path, name: str) -> None:
    """The hash and size of a changed file put right, as by somebody who wants to deceive."""
    metadata = json.loads((copy / METADATA).read_text())
    for entity in metadata["@graph"]:
        if entity["@id"] == name:
            entity |= {"sha256": sha256(copy / name), "contentSize": str((copy / name).stat().st_size)}
    (copy / METADATA).write_text(json.dumps(metadata))


@pytest.mark.slow
def test_every_file_that_is_changed_missing_or_added_is_named(copy: Path) -> None:
    """Each file is changed while the one before it is missing."""
    files = [p for p in sorted(copy.rglob("*")) if p.is_file() and p.name != METADATA]
    assert len(files) > 90
    for gone, path in zip([files[-1], *files], files, strict=False):
        name, content, lost = path.relative_to(copy).as_posix(), path.read_bytes(), gone.read_bytes()
        path.write_bytes(content + b" ")
        gone.unlink()
        missing = re.escape(gone.relative_to(copy).as_posix())
        with pytest.raises(UserError, match=rf"/crate: missing: {missing}; changed: {re.escape(name)}: get"):
            verify(copy)
        gone.write_bytes(lost)
        path.write_bytes(content)
    files[0].unlink()
    files[0].symlink_to("/dev/null")
    (copy / "results/made-up/more.txt").write_text("")
    first = re.escape(files[0].relative_to(copy).as_posix())
    with pytest.raises(UserError, match=rf"changed: {first}; without a hash: results/made-up/more.txt: get"):
        verify(copy)


def test_a_file_whose_hash_was_taken_out_of_the_metadata_is_named(copy: Path) -> None:
    metadata = json.loads((copy / METADATA).read_text())
    next(e for e in metadata["@graph"] if e["@id"] == "compute.csv").pop("sha256")
    (copy / METADATA).write_text(json.dumps(metadata))
    with pytest.raises(UserError, match=r"without a hash: compute.csv: get"):
        verify(copy)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda graph: graph[1].update(name="More"), r"@graph, ./, name: 'More' in the file"),
        (lambda graph: graph.append({"@id": "#more"}), r"@graph: \d+ entries in the file, \d+ recomputed"),
        (lambda graph: graph.clear(), "is damaged"),
    ],
)
def test_metadata_that_was_changed_is_found(
    copy: Path, change: Callable[[list[dict[str, Any]]], None], message: str
) -> None:
    metadata = json.loads((copy / METADATA).read_text())
    change(metadata["@graph"])
    (copy / METADATA).write_text(json.dumps(metadata))
    with pytest.raises(UserError, match=message):
        verify(copy)


def test_a_result_that_is_not_the_recorded_one_is_found(copy: Path) -> None:
    name = "results/made-up/speed.json"
    rows = json.loads((copy / name).read_text())
    made_up.write_json(copy / name, rows[:-1])
    resigned(copy, name)
    with pytest.raises(UserError, match=r"speed.json is not what speed made"):
        verify(copy)


@pytest.mark.parametrize("content", ["[]", "[1]", "{"])
def test_findings_that_do_not_follow_are_found(copy: Path, content: str) -> None:
    (copy / "results/made-up/findings.json").write_text(content)
    resigned(copy, "results/made-up/findings.json")
    with pytest.raises(UserError, match=r"findings: 0 entries|findings.json is damaged"):
        verify(copy)


def test_a_verdict_that_does_not_follow_is_found(copy: Path) -> None:
    file = copy / "results/made-up/claims.json"
    rows = json.loads(file.read_text())
    rows[1]["verdict"] = "not reproduced"
    made_up.write_json(file, rows)
    resigned(copy, "results/made-up/claims.json")
    with pytest.raises(
        UserError, match=r"claims, C2, verdict: 'not reproduced' in the file, 'reproduced' recomputed"
    ):
        verify(copy)


def test_a_tolerance_that_was_changed_afterwards_is_found(copy: Path) -> None:
    paper = copy / "workflow/paper.yaml"
    paper.write_text(paper.read_text().replace("        value: 30\n", "        value: 300\n"))
    resigned(copy, "workflow/paper.yaml")
    with pytest.raises(UserError, match="C2"):
        verify(copy)


def test_a_zip_is_a_crate_too(reported: Path, tmp_path: Path) -> None:
    output = tmp_path / "made-up.zip"
    assert main(["export", "made-up", "--results", str(reported), "-o", str(output)]) == 0
    assert "verdicts as recomputed" in verify(output)
    content = output.read_bytes()
    output.write_bytes(content[:3000] + bytes(500) + content[3500:])
    with pytest.raises(UserError, match=r"made-up.zip is damaged"):
        verify(output)


def test_users_mistakes_are_one_line(
    tmp_path: Path, reported: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", str(tmp_path)]) == 2
    assert "is no crate" in capsys.readouterr().err
    (tmp_path / "precious.txt").write_text("")
    assert main(["export", "made-up", "--results", str(reported), "-o", str(tmp_path)]) == 2
    assert (tmp_path / "precious.txt").is_file()
    assert capsys.readouterr().err.count("\n") == 1
