"""Without weights and images: what can be made is made, and what is missing is said, once and for all."""

import shutil
import subprocess
from pathlib import Path

import pytest

from marval.errors import Missing
from marval.pipeline.graph import Graph, Stage, graph_of
from marval.pipeline.missing import Node, message, missing_inputs, outlook
from marval.pipeline.preset import load_preset
from marval.pipeline.state import State

PRESETS = Path(__file__).resolve().parents[2] / "workflow/presets"
WEIGHTS = Missing(Path("weights/a"), "weights", "1 GB, https://a", "fetch them")
IMAGES = Missing(Path("data/b"), "images", "https://b", "link them")


def node(name, *makers, missing=()):
    return Node(name, frozenset(makers), tuple(missing))


GRAPH = [
    node("prepare", missing=[IMAGES]),
    node("official", missing=[WEIGHTS]),
    node("encode", "prepare", "official"),
    node("calibrate"),
    node("sample", "official"),
]


def test_stages_behind_something_missing_wait_for_all_of_it():
    found = outlook(GRAPH, lambda address: False)
    assert found.waiting == {
        "prepare": (IMAGES,),
        "official": (WEIGHTS,),
        "encode": (IMAGES, WEIGHTS),
        "sample": (WEIGHTS,),
    }
    assert found.settled == frozenset()


def test_nobody_waits_for_inputs_of_a_stage_that_is_done():
    found = outlook(GRAPH, {"official", "calibrate"}.__contains__)
    assert found.waiting == {"prepare": (IMAGES,), "encode": (IMAGES,)}
    assert found.settled == {"official"}  # the other lacks nothing, and is not asked about


def test_who_needs_what(root, monkeypatch, tmp_path):
    """Published weights by their files, training images wherever they are read."""
    monkeypatch.chdir(root)
    preset = load_preset("imagenet256-base")
    preset = preset.model_copy(
        update={"prepare": preset.prepare.model_copy(update={"folder": str(tmp_path / "images")})}
    )

    def places(reads_images, *sources):
        found = missing_inputs(preset, [Path(source) for source in sources], reads_images)
        return [str(m.path) for m in found]

    images = str(tmp_path / "images/train")
    assert places(True, "marval/data") == [images]
    assert places(True, "marval/data", "marval/no_such_file.py") == ["marval/no_such_file.py", images]
    assert places(False, "marval/data") == []
    (tmp_path / "images/train").mkdir(parents=True)
    assert places(True, "marval/data") == []


@pytest.mark.parametrize("name", [path.stem for path in sorted(PRESETS.glob("*.yaml"))])
def test_what_a_stage_reads_of_the_results_another_makes(root, monkeypatch, name):
    """Also where a preset leaves out a whole kind of stages, as one without fine-tuning does: else its report waits for ever."""
    monkeypatch.chdir(root)
    graph = graph_of(name)
    unmade = [
        path
        for stage in graph.stages.values()
        for path in graph.outside(stage)
        if path.parts[:2] == ("results", name)
    ]
    assert unmade == []


def test_the_message_names_each_thing_once_with_place_source_and_remedy():
    text = message({"encode": (IMAGES, WEIGHTS), "sample": (WEIGHTS,)}, total=5)
    assert text.startswith("marval: 2 of 5 stages wait")
    for part in ("weights/a: 1 GB, https://a", "data/b: https://b", "fetch them", "link them"):
        assert text.count(part) == 1


@pytest.mark.slow
def test_a_stage_is_settled_when_nothing_but_its_inputs_are_gone(tmp_path, monkeypatch):
    """As DVC has recorded it, after an input, an output or a command has gone another way."""
    from dvc.repo import Repo

    monkeypatch.chdir(tmp_path)
    Path("dvc.yaml").write_text("stages:\n  copy:\n    cmd: cp a b\n    deps: [a]\n    outs: [b]\n")
    Path("a").write_text("a")
    subprocess.run(["git", "init", "-q"], check=True)
    Repo.init().reproduce()

    def is_settled(command="cp a b"):
        stage = Stage("copy", "", {}, command, [Path("a")], {}, [Path("b")])
        return State(Graph([stage]), {}).is_settled("copy")

    assert is_settled()
    Path("a").unlink()
    assert Repo().status()
    assert is_settled()
    assert not is_settled("cp -f a b")
    Path("b").write_text("another")
    assert not is_settled()
    Path("a").write_text("another")
    assert not is_settled()


@pytest.mark.slow
@pytest.mark.long
def test_snakemake_makes_what_it_can_and_says_what_is_missing(fresh, tmp_path):
    checkout = fresh.copy(tmp_path / "marval")
    checkout.replace("params.yaml", "- smoke", "- imagenet256-base")
    done = checkout.run("snakemake", check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "rror" not in done.stderr.replace("errors", ""), "Snakemake complains"
    assert checkout.stages_run() == {"calibrate@imagenet256-base"}
    begin, end = (
        part.strip() for part in (done.stderr.split("Job stats")[0], done.stderr.split("(100%) done")[-1])
    )
    for text in (begin, end):
        assert "68 of 72 stages wait for what is missing" in text
        assert "weights/mar-base/checkpoint-last.pth: 1.66 GB, https://" in text
        assert "data/imagenet/train" in text
        assert "make weights PRESET=imagenet256-base" in text
    shutil.rmtree(checkout.path / "logs")
    again = checkout.run("snakemake", check=False)
    assert again.returncode == 1
    assert "weights/kl16/kl16.ckpt" in again.stderr
    assert checkout.stages_run() == set()
