"""What of a stage has changed: our answer is DVC's own, on a small project that DVC has run."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from code_lists import forget
from dvc.repo import Repo

from marval.pipeline.graph import Graph, Stage
from marval.pipeline.state import NEVER_RUN, State, fingerprint

SETTINGS = Path("results/settings.json")
# code: lists the code of a report, which is nothing here; copy: reads an input and a parameter; double: a folder of two files;
# join: reads the folder
LIST = Path("results/code/report.json")
STAGES = {
    "code": Stage(
        kind="code",
        key="",
        item={},
        command=f"mkdir -p {LIST.parent} && printf '{{}}\\n' > {LIST}",
        dependencies=[Path("marval")],
        parameters={},
        outputs=[LIST.parent],
    ),
    "copy": Stage(
        kind="copy",
        key="",
        item={},
        command="cat data/seeds.txt > results/copied.txt",
        dependencies=[LIST, Path("data/seeds.txt")],
        parameters={SETTINGS: ["copy", "size.width"]},
        outputs=[Path("results/copied.txt")],
    ),
    "double": Stage(
        kind="double",
        key="",
        item={},
        command="mkdir -p results/both && cp results/copied.txt results/both/a && cp results/copied.txt results/both/b",
        dependencies=[Path("results/copied.txt")],
        parameters={},
        outputs=[Path("results/both")],
    ),
    "join": Stage(
        kind="join",
        key="",
        item={},
        command="cat results/both/a results/both/b > results/joined.txt",
        dependencies=[Path("results/both")],
        parameters={},
        outputs=[Path("results/joined.txt")],
    ),
}
PARAMETERS = {"copy": {"rate": 0.00001, "names": ["a", "b"]}, "size": {"width": 3}, "unread": 1}


def declared(stage: Stage) -> dict:
    """A stage as dvc.yaml has it."""
    return {
        "cmd": stage.command,
        "deps": [str(path) for path in stage.dependencies],
        "params": [{str(file): keys} for file, keys in stage.parameters.items()],
        "outs": [str(path) for path in stage.outputs],
    }


def write_pipeline(stages: dict[str, Stage]) -> None:
    content = {name: {k: v for k, v in declared(stage).items() if v} for name, stage in stages.items()}
    Path("dvc.yaml").write_text(yaml.safe_dump({"stages": content}))


@pytest.fixture(scope="module")
def reproduced(tmp_path_factory) -> Path:
    """The project after a run of all its stages."""
    folder = tmp_path_factory.mktemp("project")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name in ("data", "marval", "results"):
            Path(name).mkdir()
        Path("data/seeds.txt").write_text("seeds\n")
        Path(".dvcignore").write_text("*.md\n")
        Path("marval/README.md").write_text("# A tool\n")
        Path("marval/tool.py").write_text('"""A tool."""\nSIZE = 3  # of what it makes\n')
        SETTINGS.write_text(json.dumps(PARAMETERS))
        write_pipeline(STAGES)
        Repo.init(no_scm=True)
        Repo().reproduce()
    return folder


@pytest.fixture
def project(reproduced, tmp_path, monkeypatch) -> Iterator[Path]:
    """A copy to change something in."""
    shutil.copytree(reproduced, tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    forget()
    yield tmp_path / "project"
    forget()


def ours(stages: dict[str, Stage] = STAGES) -> dict[str, list[str]]:
    state = State(Graph(stages.values()), {})
    return {name: changes for name, stage in stages.items() if (changes := state.changes(stage))}


def dvcs() -> set[str]:
    """The stages that DVC names as changed, for whatever reason."""
    return set(Repo().status())


def set_parameter(*keys, value):
    content = json.loads(SETTINGS.read_text())
    section = content
    for key in keys[:-1]:
        section = section[key]
    section[keys[-1]] = value
    SETTINGS.write_text(json.dumps(content))


def delete(path: str) -> None:
    shutil.rmtree(path) if Path(path).is_dir() else Path(path).unlink()


def append(path: str) -> None:
    with Path(path).open("a") as stream:
        stream.write("more\n")


# name -> (what happens, the stages that have changed by it, words of the first one's reason)
EVENTS = {
    "nothing": (lambda: None, {}),
    "a parameter": (lambda: set_parameter("size", "width", value=4), {"copy": "the setting size.width"}),
    "a number in a section": (
        lambda: set_parameter("copy", "rate", value=0.00002),
        {"copy": "the setting copy"},
    ),
    "an item of a list": (lambda: set_parameter("copy", "names", value=["a"]), {"copy": "the setting copy"}),
    "a parameter that no stage reads": (lambda: set_parameter("unread", value=2), {}),
    "the spelling of a number": (
        lambda: SETTINGS.write_text(SETTINGS.read_text().replace("1e-05", "0.00001")),
        {},
    ),
    "code of no stage": (lambda: append("marval/tool.py"), {"code": "marval"}),
    "documentation": (lambda: append("marval/README.md"), {}),
    "an input": (lambda: append("data/seeds.txt"), {"copy": "data/seeds.txt"}),
    "an output": (
        lambda: append("results/copied.txt"),
        {"copy": "its output results/copied.txt", "double": "results/copied.txt"},
    ),
    "a file in a folder": (
        lambda: append("results/both/b"),
        {"double": "its output results/both", "join": "results/both"},
    ),
    "one more file in a folder": (
        lambda: append("results/both/c"),
        {"double": "its output results/both", "join": "results/both"},
    ),
    "a mere touch": (lambda: Path("data/seeds.txt").touch(), {}),
}


@pytest.mark.parametrize("name", EVENTS)
def test_changes_are_those_that_dvc_sees(project, name):
    happen, expected = EVENTS[name]
    happen()
    assert ours() == {stage: [reason] for stage, reason in expected.items()}
    assert dvcs() == expected.keys()


def test_another_command_is_a_change(project):
    stages = {**STAGES, "double": changed(STAGES["double"], command=STAGES["double"].command + " && true")}
    write_pipeline(stages)
    assert ours(stages) == {"double": ["the command"]}
    assert dvcs() == {"double"}


def changed(stage: Stage, **fields) -> Stage:
    return Stage(**{**stage.__dict__, **fields})


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (
            {"dependencies": [*STAGES["join"].dependencies, Path("data/seeds.txt")]},
            "data/seeds.txt, which it depends on now",
        ),
        ({"dependencies": [Path("results/both/a")]}, "results/both/a, which it depends on now"),
        ({"parameters": {SETTINGS: ["unread"]}}, "the setting unread"),
    ],
)
def test_another_declaration_is_a_change(project, fields, reason):
    stages = {**STAGES, "join": changed(STAGES["join"], **fields)}
    write_pipeline(stages)
    assert ours(stages)["join"][0] == reason
    assert "join" in dvcs()


def test_a_dependency_less_is_none(project):
    """DVC would neither run the stage nor forget the dependency, so that a change would stay for ever."""
    stages = {**STAGES, "copy": changed(STAGES["copy"], dependencies=[Path("data/seeds.txt")])}
    write_pipeline(stages)
    assert ours(stages) == {}
    assert dvcs() == set()


@pytest.mark.parametrize("path", ["results/copied.txt", "results/both", "results/joined.txt"])
def test_a_deleted_output_is_a_change_of_its_maker_until_dvc_restores_it(project, path):
    delete(path)
    (maker,) = (name for name, stage in STAGES.items() if Path(path) in stage.outputs)
    assert maker in dvcs()
    assert ours() == {maker: [f"its output {path}"]}
    Repo().checkout()
    assert dvcs() == set()
    assert ours() == {}


def test_a_deleted_input_is_missing_and_settled(project):
    delete("data/seeds.txt")
    assert ours() == {"copy": ["missing: data/seeds.txt"]}
    assert dvcs() == {"copy"}
    assert State(Graph(STAGES.values()), {}).is_settled(
        "copy"
    )  # nothing but the lost input stands against what it has made
    set_parameter("size", "width", value=4)
    assert not State(Graph(STAGES.values()), {}).is_settled("copy")


@pytest.mark.parametrize(
    ("path", "stages"),
    [
        ("data/seeds.txt", {"copy", "double", "join"}),
        ("results/both/b", {"double", "join"}),
        ("results/joined.txt", {"join"}),
    ],
)
def test_what_reads_a_changed_stage_runs_too(project, path, stages):
    append(path)
    assert State(Graph(STAGES.values()), {}).to_run() == stages


def test_parameters_are_taken_from_memory_where_they_are_given(project):
    """Presets count as they resolve now, although their file is only written by the next run."""
    new = {**PARAMETERS, "size": {"width": 5}}
    assert State(Graph(STAGES.values()), {SETTINGS: new}).changes(STAGES["copy"]) == [
        "the setting size.width"
    ]
    SETTINGS.unlink()
    assert State(Graph(STAGES.values()), {SETTINGS: PARAMETERS}).changes(STAGES["copy"]) == []


def test_a_stage_that_never_ran_says_so(project):
    Path("dvc.lock").unlink()
    assert ours() == {name: [NEVER_RUN] for name in STAGES}


def test_checkpoints_belong_to_settings_and_inputs(project):
    stage, settings = STAGES["copy"], {SETTINGS: PARAMETERS}
    first = fingerprint(stage, settings)
    assert fingerprint(stage, {SETTINGS: {**PARAMETERS, "unread": 2}}) == first
    others = [fingerprint(stage, {SETTINGS: {**PARAMETERS, "size": {"width": 4}}})]
    others.append(fingerprint(changed(stage, command="true"), settings))
    append("data/seeds.txt")
    others.append(fingerprint(stage, settings))
    assert len({first, *others}) == 4
