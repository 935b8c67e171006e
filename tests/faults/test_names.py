"""Names from strangers: none that is more than a name gets into a command, a file name or a stage's name."""

import shlex
import shutil
from copy import deepcopy

import pytest
import yaml

from marval.errors import UserError
from marval.pipeline.graph import graph_of
from marval.pipeline.items import expand
from marval.pipeline.preset import load_preset

HOSTILE = [
    "x;touch PWNED1;true ", "x && touch PWNED", "x|touch PWNED", "$(touch PWNED)", "`touch PWNED`", "x\ntouch PWNED", "x y",
    "'", "x'; touch PWNED; '", '"', "x\\", "-x", "--help", "../x", "/etc/x", ".", "..", "a/b", "x{y}", "{x}", "${item.preset}",
    "${x", "a@b", "a:b", "a,b", "a=b", "a*b", "a?b", "[a]", "a#b", "a%b", "~", "!x", "&x", "*x", "<x", "x>y", "marval_rl",
    "Marval", "MÄRVAL", "\u202egnp", "x\x00y", "x\ty", "", "a" * 41, "a" * 100_000, "-", "_",
]  # fmt: skip
PLACES = {
    "variants": lambda c, name: c["variants"].update({name: c["variants"]["teacher-4"]}),
    "distill.variants": lambda c, name: c["distill"]["variants"].update({name: {"guidance": 1.0}}),
    "reinforce.variants": lambda c, name: c["reinforce"]["variants"].update(
        {name: {"start": "marval", "steps": 2}}
    ),
}


@pytest.fixture(scope="module")
def folder(root, tmp_path_factory):
    """A copy of the settings to spoil, and the content of the preset `smoke`."""
    folder = tmp_path_factory.mktemp("presets")
    shutil.copytree(root / "workflow", folder / "workflow")
    shutil.copy(root / "dvc.yaml", folder)
    return folder, yaml.safe_load((root / "workflow/presets/smoke.yaml").read_text())


@pytest.fixture
def edited(folder, monkeypatch):
    """edited(change): the preset `smoke`, after `change` of its content, is loaded."""
    monkeypatch.chdir(folder[0])
    path = folder[0] / "workflow/presets/smoke.yaml"

    def load(change):
        content = deepcopy(folder[1])
        change(content)
        path.write_text(yaml.dump(content, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True))
        return load_preset("smoke")

    return load


def refused(action) -> str:
    with pytest.raises(UserError) as caught:
        action()
    line = str(caught.value)
    assert "\n" not in line
    assert len(line) < 600
    return line


@pytest.mark.parametrize("place", PLACES)
def test_hostile_names_are_refused_with_the_rule(edited, tried, place):
    for name in HOSTILE:
        line = refused(lambda name=name: edited(lambda content: PLACES[place](content, name)))
        assert line.startswith(f"workflow/presets/smoke.yaml: {place} has "), line
        assert "a name is 1 to 40 of the characters a-z, 0-9 and -" in line
        tried["hostile names"] += 1


@pytest.mark.parametrize(
    ("place", "name", "word"),
    [
        ("variants", "real", "the held-out real images"),
        ("distill.variants", "teacher", "the teacher"),
        ("reinforce.variants", "teacher", "the teacher"),
        ("reinforce.variants", "marval", "distill.variants and reinforce.variants both have 'marval'"),
    ],
)
def test_names_that_are_taken_are_refused(edited, tried, place, name, word):
    assert word in refused(lambda: edited(lambda content: PLACES[place](content, name)))
    tried["hostile names"] += 1


def test_names_that_lead_to_one_file_are_refused(edited, tried):
    name = "watch-marval-rl"
    edited(lambda content: content["distill"]["variants"].update({name: {"guidance": 1.0}}))
    line = refused(lambda: graph_of("smoke"))
    assert line == (
        "distill@smoke-watch-marval-rl-0 and watch@smoke-marval-rl-0 would both write "
        "results/smoke/records/watch-marval-rl-s0.json: rename a variant of the preset smoke"
    )
    tried["hostile names"] += 1


def test_presets_have_the_same_rule(edited, tried):
    for name in [*HOSTILE, "runs"]:
        line = refused(lambda name=name: load_preset(name))
        assert "cannot be the name of a preset" in line
        tried["hostile names"] += 1


def test_two_presets_with_one_stage_are_refused(root, edited):
    edited(
        lambda content: content["variants"].update(
            {"two-teacher-1": content["variants"]["teacher-4"] | {"role": "ablation"}}
        )
    )
    other = root / "workflow/presets/smoke.yaml"
    with open("workflow/presets/smoke-two.yaml", "w") as stream:
        stream.write(other.read_text().replace("name: smoke", "name: smoke-two", 1))
    assert "presets smoke and smoke-two both have smoke-two-teacher-1 among the variants" in refused(
        lambda: expand(["smoke", "smoke-two"])
    )


def test_names_are_quoted_in_every_command(root, monkeypatch):
    """A second wall: should a name ever get by the rule, it is still one word of a command."""
    monkeypatch.chdir(root)
    entries = yaml.safe_load((root / "dvc.yaml").read_text())["stages"].values()
    commands = [entry["do"]["cmd"] for entry in entries if "do" in entry]
    assert len(commands) > 15
    for command in commands:
        filled = (
            command.replace("${item.preset}", "a b")
            .replace("${item.variant}", "c; d")
            .replace("${item.seed}", "0")
        )
        words = shlex.split(filled)
        assert filled.count("a b") == words.count("a b")
        assert filled.count("c; d") == words.count("c; d")
    for stage in graph_of("smoke").stages.values():
        assert shlex.split(stage.command)[:2] == ["python", "-m"]
