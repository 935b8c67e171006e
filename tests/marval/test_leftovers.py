"""Checkpoints that a stage would take up, and orphans: which are which, and what is removed."""

import fcntl

import pytest

from marval.pipeline.files import settings_path
from marval.pipeline.graph import graph_of
from marval.pipeline.leftovers import LOCK_NAME, beside, leftovers, report
from marval.pipeline.preset import load_preset, resolved_settings
from marval.pipeline.state import fingerprint

STAGE = "smoke/prepare@smoke"  # reads no file that another stage makes
ORPHANS = {
    f"{STAGE}/0123456789abcdef": "its settings, inputs or code have changed",
    "smoke/distill@smoke-gone-0/0123456789abcdef": "the preset has no such stage any more",
    "gone/teacher@gone-0/0123456789abcdef": "there is no such preset any more",
}


@pytest.fixture
def runs(root, tmp_path, monkeypatch):
    """One folder of checkpoints that is current, and the orphans."""
    monkeypatch.chdir(root)
    settings = {settings_path("smoke"): resolved_settings(load_preset("smoke"))}
    current = fingerprint(graph_of("smoke").stages["prepare@smoke"], settings)
    runs = tmp_path / "runs"
    for name in (f"{STAGE}/{current}", *ORPHANS):
        folder = runs / name
        folder.mkdir(parents=True)
        (folder / "state-000001-00.pt").write_bytes(bytes(1000))
    (runs / "hashes.json").write_text("{}")  # lies beside the presets' folders
    return runs


def test_orphans_and_why(runs):
    found = {str(one.folder.relative_to(runs)): one for one in leftovers(runs)}
    whys = {name: one.why for name, one in found.items() if one.why}
    assert whys.keys() == ORPHANS.keys()
    assert all(reason in whys[name] for name, reason in ORPHANS.items())
    assert len(found) == len(ORPHANS) + 1
    assert all(one.bytes == 1000 for one in found.values())


def test_a_stage_whose_inputs_are_gone_keeps_its_checkpoints(runs):
    """dvc may bring them back."""
    folder = runs / "imagenet256-base/distill@imagenet256-base-marval-0/0123"
    folder.mkdir(parents=True)
    assert {one.folder: one.why for one in leftovers(runs)}[folder] == ""


def test_a_preset_with_a_mistake_keeps_its_checkpoints(runs, folder):
    (folder / "workflow/presets/smoke.yaml").write_text("name: smoke\n")
    assert not [one for one in leftovers(runs) if one.why and "smoke" in str(one.folder.relative_to(runs))]


def test_orphans_are_removed_and_nothing_else(runs):
    before = list(report(False, runs))
    assert len(before) == len(ORPHANS) + 2
    assert before[-1] == "3 orphaned: `python -m marval checkpoints --remove` deletes them"
    assert len(list(runs.glob("*/*/*/*.pt"))) == len(ORPHANS) + 1
    busy = runs / STAGE / LOCK_NAME
    with busy.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        assert any("its stage is at work" in line for line in report(True, runs))
    assert len(list(runs.glob("*/*/*/*.pt"))) == 2
    list(report(True, runs))
    (kept,) = leftovers(runs)
    assert kept.why == ""
    assert kept.folder.parent == runs / STAGE


def test_a_start_from_nothing_knows_what_it_leaves_behind(runs):
    stage = runs / STAGE
    kept = sorted(folder for folder in stage.iterdir())
    assert beside(stage / "another") == kept
    assert beside(kept[0]) == []
