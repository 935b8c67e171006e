"""Presets from strangers: whatever is in the file, it is a preset or one line says what is wrong with it."""

from copy import deepcopy
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_names import edited, folder, refused

from marval.errors import UserError
from marval.pipeline.preset import load_preset
from marval.pipeline.reading import read_strange_yaml

__all__ = ["edited", "folder"]

BIG = 10**23
# key -> (value, what the line names); of the preset `smoke`
BAD = [
    ("seeds", [0, 0], ["seeds", "0 stands there twice"]),
    ("seeds", [-1], ["seeds.0 is -1"]),
    ("seeds", [BIG], ["seeds.0 is 1"]),
    ("seeds", [2**63], ["seeds.0"]),
    ("seeds", [], ["seeds is []"]),
    ("seeds", ["0x"], ["seeds.0 is '0x'"]),
    ("seeds", [True, 0.5], ["seeds.1 is 0.5"]),
    ("distill.variants.marval.seeds", [0, 0], ["distill.variants.marval.seeds", "twice"]),
    ("reinforce.variants.marval-rl.seeds", [-1], ["reinforce.variants.marval-rl.seeds.0 is -1"]),
    ("variants.marval.seeds", [0, 0], ["variants.marval.seeds", "twice"]),
    ("prepare.seed", -1, ["prepare.seed is -1"]),
    ("prepare.seed", BIG, ["prepare.seed is 1"]),
    ("tokenizer.seed", BIG, ["tokenizer.seed is 1"]),
    ("showcase.seed", BIG, ["showcase.seed is 1"]),
    ("showcase.seed", 1, ["showcase.seed is 1", "marval has the seeds [0]"]),
    ("showcase.ar_steps", 17, ["showcase.ar_steps is 17, more than the 16 tokens, teacher.model.side squared"]),
    ("showcase.ar_steps", 0, ["showcase.ar_steps is 0"]),
    ("reinforce.training.ar_steps", 17, ["reinforce.training.ar_steps is 17, more than the 16 tokens"]),
    ("variants.marval.ar_steps", 17, ["variants.marval.ar_steps is 17, more than the 16 tokens"]),
    ("teacher.model.classes", 3, ["teacher.model.classes is 3", "10 classes"]),
    ("teacher.model.classes", 1_000_000_000, ["teacher.model.classes is 1000000000"]),
    ("teacher.model.channels", 7, ["teacher.model.channels is 7", "tokenizer.model.latent_channels is 4"]),
    ("teacher.model.side", 8, ["teacher.model.side is 8", "prepare.size 32"]),
    ("teacher.model.side", 0, ["teacher.model.side is 0"]),
    ("tokenizer.model.latent_channels", 5, ["teacher.model.channels is 4", "latent_channels is 5"]),
    ("tokenizer.model.channels", [0, 0, 0, 0], ["tokenizer.model.channels.0 is 0"]),
    ("tokenizer.model.channels", [-4, 16, 32, 32], ["tokenizer.model.channels.0 is -4"]),
    ("tokenizer.model.channels", [8, 16, 30, 32], ["norm_groups 4"]),
    ("prepare.size", 64, ["teacher.model.side is 4", "prepare.size 64"]),
    ("prepare.test_fraction", 1.0, ["prepare.test_fraction is 1.0"]),
    ("judges.cnn.image_size", 16, ["judges.cnn.image_size is 16", "prepare.size is 32"]),
    ("judges.clip.patch", 5, ["judges", "clip", "image_size 32 is not divisible by patch 5"]),
    ("judges.pick_score.patch", 7, ["pick_score", "patch 7"]),
    ("judges.image_reward.patch", 9, ["image_reward", "patch 9"]),
    ("judges.cnn.lr", float("nan"), ["judges", "cnn.lr is nan"]),
    ("judges.kind", ["a"], ["judges.kind is ['a']"]),
    ("judges.kind", [], ["judges.kind is []"]),
    ("judges.kind", {}, ["judges.kind is {}"]),
    ("judges.kind", None, ["judges.kind is missing"]),
    ("judges", [], ["judges"]),
    ("judges", None, ["judges"]),
    ("prepare", [], ["prepare"]),
    ("prepare.data", [1], ["prepare.data"]),
    ("prepare.data", None, ["prepare.data is missing"]),
    ("prepare", {}, ["prepare.data is missing"]),
    ("tokenizer", 3, ["tokenizer"]),
    ("speed.batches", [-1, 0], ["speed.batches.0 is -1"]),
    ("speed.batches", [], ["speed.batches is []"]),
    ("speed.repetitions", 0, ["speed.repetitions is 0"]),
    ("speed.variants", ["marvel"], ["speed.variants is 'marvel'", "did you mean 'marval'?"]),
    ("speed.modes", ["eagre"], ["speed.modes.0 is 'eagre'"]),
    ("teacher.optimiser.betas", [float("nan"), 0.95], ["teacher.optimiser.betas.0 is nan"]),
    ("teacher.optimiser.betas", [0.9, 1.0], ["teacher.optimiser.betas.1 is 1.0"]),
    ("teacher.optimiser.betas", [-0.1, 0.9], ["teacher.optimiser.betas.0 is -0.1"]),
    ("teacher.optimiser.betas", [0.9], ["teacher.optimiser.betas"]),
    ("teacher.optimiser.lr", float("inf"), ["teacher.optimiser.lr is inf"]),
    ("teacher.optimiser.clip", float("inf"), ["teacher.optimiser.clip is inf"]),
    ("teacher.optimiser.clip", float("nan"), ["teacher.optimiser.clip is nan"]),
    ("teacher.optimiser.warmup_steps", -1, ["warmup_steps is -1"]),
    ("teacher.steps", 0, ["teacher.steps is 0"]),
    ("teacher.batch", -4, ["teacher.batch is -4"]),
    ("teacher.ema", 1.0, ["teacher.ema is 1.0"]),
    ("teacher.ema", float("nan"), ["teacher.ema is nan"]),
    ("teacher.threads", 0, ["teacher.threads is 0"]),
    ("teacher.scale", {"micro_batch": 0}, ["teacher.scale.micro_batch is 0"]),
    ("teacher.masking.std", float("inf"), ["teacher.masking.std is inf"]),
    ("teacher.official", [], ["teacher.official"]),
    ("distill.training.weight_limit", float("inf"), ["distill.training.weight_limit is inf"]),
    ("distill.training.t_low", 990, ["t_low 990 must be below t_high 980"]),
    ("distill.training.t_high", 5000, ["t_high is 5000"]),
    ("distill.variants", {}, ["distill.variants is {}"]),
    ("distill.variants.marval.guidance", float("nan"), ["guidance is nan"]),
    ("distill.variants.marval.objective", "os.system", ["objective is 'os.system'"]),
    ("distill.variants.marval.objective", "x" * 10**5, ["objective is 'xxx"]),
    ("reinforce.training.reward", "__import__('os')", ["reinforce.training.reward is"]),
    ("reinforce.variants.marval-rl.start", "../marval", ["marval-rl.start is '../marval', which is not defined"]),
    ("reinforce.variants.marval-rl.start", "marvel", ["start is 'marvel'", "did you mean 'marval'?"]),
    ("reinforce.variants.marval-rl.steps", 0, ["steps is 0"]),
    ("variants.marval.model", "a b", ["variants.marval.model is 'a b', which is not defined"]),
    ("variants.marval.model", None, ["variants.marval.model"]),
    ("variants.marval.diffusion_steps", 1001, ["diffusion_steps is 1001"]),
    ("variants.marval.order", "spiral", ["order is 'spiral'"]),
    ("variants", {5: {}}, ["variants has 5"]),
    ("variants", [], ["variants"]),
    ("sample.images", 9, ["sample.images is 9"]),
    ("sample.temperature", float("nan"), ["sample.temperature is nan"]),
    ("sample.chain_start", 1000, ["sample.chain_start is 1000"]),
    ("evaluate.resamples", 1, ["evaluate.resamples is 1"]),
    ("one_step_t", 1000, ["one_step_t is 1000"]),
    ("one_step_t", "0b1", ["one_step_t is '0b1'"]),
    ("prompt", "no place", ["prompt is 'no place'"]),
    ("prompt", ["{name}"], ["prompt"]),
    ("name", "smoky", ["name is 'smoky' but the file is smoke.yaml"]),
    ("name", {"a": ["b"] * 1000}, ["name is {'a'"]),
    ("description", {"a": [["b" * 1000] * 10] * 10}, ["description is {'a'"]),
    ("base", 7, ["base is 7"]),
    ("base", "smoke", ["base goes in a circle"]),
    ("base", "../smoke", ["'../smoke' cannot be the name of a preset"]),
    ("base", "x" * 10**5, ["cannot be the name of a preset"]),
    ("latency", {}, ["is not a setting"]),
    ("resources", {"default": {"gpus": -1}}, ["resources.default.gpus is -1"]),
    ("resources", {"default": {"hours": float("inf")}}, ["resources.default.hours is inf"]),
    ("resources", {"default": {"hours": 0.01}}, ["resources.default.hours is 0.01"]),
    ("z" * 10**5, 1, ["'zzz", "is not a setting"]),
]  # fmt: skip


def put(content, key, value):
    *above, last = key.split(".")
    for part in above:
        content = content[part]
    content[last] = value


@pytest.mark.parametrize(("key", "value", "words"), BAD, ids=[f"{n}-{b[0][:40]}" for n, b in enumerate(BAD)])
def test_bad_settings_are_named(edited, tried, key, value, words):
    line = refused(lambda: edited(lambda content: put(content, key, value)))
    assert all(word in line for word in ["workflow/presets/", *words]) or "cannot be the name" in line, line
    tried["bad settings"] += 1


def nine_of(name: str, what: str) -> str:
    return f"{name}: &{name} [{', '.join([f'*{what}'] * 9)}]"


LAUGHS = "\n".join(
    ["name: smoke", "a: &a [ha, ha]", *map(nine_of, "bcdefghijkl", "abcdefghijk"), "description: *l"]
)
FILES = {
    "twice": (b"name: smoke\nseeds: [0]\nseeds: [1]\n", "the key 'seeds' stands there twice"),
    "twice inside": (b"name: smoke\nvariants: {a: 1, a: 2}\n", "the key 'a' stands there twice"),
    "laughs": (LAUGHS.encode(), "expand to too much"),
    "laughs at nothing": (LAUGHS.replace("[ha, ha]", "[]").encode(), "expand to too much"),
    "brackets": (b"name: " + b"[" * 5000 + b"]" * 5000, "deeper than 50 levels"),
    "open brackets": (b"[" * 200_000, "deeper than 50 levels"),
    "braces": (b"{a: " * 5000 + b"1" + b"}" * 5000, "deeper than 50 levels"),
    "dashes": (b"- " * 5000, "deeper than 50 levels"),
    "questions": (b"? " * 5000, "deeper than 50 levels"),
    "itself": (b"name: smoke\na: &a [*a]\n", "deeper than 50 levels"),
    "chain": (
        b"a0: &a0 x\n" + b"".join(b"a%d: &a%d [[[[*a%d]]]]\n" % (n, n, n - 1) for n in range(1, 500)),
        "expand to too much",
    ),
    "latin-1": ("name: smoke\ndescription: für\n".encode("latin-1"), "cannot be read"),
    "utf-16": ("name: smoke".encode("utf-16"), "cannot be read"),
    "zeros": (b"\0" * 1000, "cannot be read"),
    "large": (b"# " + b"x" * (1 << 20), "more than"),
    "empty": (b"", "is not a mapping"),
    "list": (b"- name: smoke\n", "is not a mapping"),
    "tag": (b"!!python/object/apply:os.system [touch PWNED]", "cannot be read"),
    "date": (b"name: smoke\na: 2026-99-99\n", "cannot be read"),
    "unknown alias": (b"a: *b\n", "cannot be read"),
    "two documents": (b"name: smoke\n---\nname: smoke\n", "cannot be read"),
    "list as key": (b"name: smoke\n? [a, b]\n: 1\n", "cannot be read"),
    "merge of a word": (b"name: smoke\n<<: word\n", "cannot be read"),
    "endless number": (b"name: smoke\nseeds: [" + b"9" * 100_000 + b"]\n", ""),
    "sexagesimal": (b"name: smoke\nseeds: [1:99:99:99]\n", ""),
    "infinite": (b"name: smoke\nseeds: [.inf]\n", ""),
}


@pytest.mark.timeout(30)  # some took memory and time without end; now milliseconds
@pytest.mark.parametrize("kind", FILES)
def test_bad_files_are_refused_without_reading_on(edited, tried, kind):
    content, word = FILES[kind]
    Path("workflow/presets/smoke.yaml").write_bytes(content)
    assert word in refused(lambda: load_preset("smoke"))
    tried["bad YAML files"] += 1


def test_aliases_of_a_few_values_are_read(edited):
    Path("workflow/presets/some.yaml").write_text("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: [*a, *a]\n")
    assert read_strange_yaml(Path("workflow/presets/some.yaml")) == {
        "a": {"x": 1, "y": 2}, "b": {"x": 1, "y": 3}, "c": [{"x": 1, "y": 2}, {"x": 1, "y": 2}],
    }  # fmt: skip


# the folder's content is written anew for each example
FIXTURES = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
KEYS = [
    "name", "base", "seeds", "prompt", "prepare", "tokenizer", "encode", "judges", "teacher", "distill", "reinforce", "variants",
    "training", "model", "optimiser", "data", "kind", "sample", "speed", "latency", "marval", "official",
]  # fmt: skip
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(KEYS)
    | st.binary(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=5) | st.integers(), inner, max_size=4)
    ),
    max_leaves=12,
)


def loads_or_is_refused(content: bytes, tried) -> None:
    Path("workflow/presets/smoke.yaml").write_bytes(content)
    line = ""
    try:
        load_preset("smoke")
    except UserError as error:
        line = str(error)
    assert "\n" not in line
    assert len(line) < 1000
    tried["drawn presets"] += 1


@FIXTURES
@given(key=st.sampled_from(sorted({b[0] for b in BAD if len(b[0]) < 99})), value=VALUES)
def test_any_value_in_any_place(folder, edited, tried, key, value):
    content = deepcopy(folder[1])
    put(content, key, value)
    loads_or_is_refused(yaml.dump(content, Dumper=yaml.CSafeDumper).encode("utf-8", "surrogatepass"), tried)


@FIXTURES
@given(
    content=st.binary(max_size=200) | st.text(max_size=200).map(lambda t: t.encode("utf-8", "surrogatepass"))
)
def test_any_bytes(edited, tried, content):
    loads_or_is_refused(content, tried)


@FIXTURES
@given(data=st.data())
def test_any_damage(edited, root, tried, data):
    whole = bytearray((root / "workflow/presets/smoke.yaml").read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(whole) - 1))
        whole[place : place + data.draw(st.integers(0, 30))] = data.draw(st.binary(max_size=30))
        whole = whole or bytearray(b" ")
    loads_or_is_refused(bytes(whole), tried)
