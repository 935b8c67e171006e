"""`python -m metrics` on bad input: one line, status 2, nothing written."""

import io
import json
import os
import struct
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from metrics import UserError
from metrics.cache import FeatureCache
from metrics.cli import run
from metrics.compare import compare, read_rows
from metrics.features import Features
from metrics.judges.files import build, load
from metrics.judges.section import JudgesConfig
from metrics.npz import read_npz
from metrics.reference import read_reference
from metrics.samples import Samples, read_samples

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
LABELS = np.arange(40) % 10
NAMES = [str(k) for k in range(10)]
WIDTH = 32  # features of the judge


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An untrained judge and scorer, a batch, the statistics of another, and a result file, all sound."""
    folder = tmp_path_factory.mktemp("metrics")
    for kind in ("cnn", "clip"):
        build(kind, getattr(JudgesConfig(), kind), NAMES).save(folder / kind)
    np.savez(folder / "good.npz", arr_0=IMAGES, arr_1=LABELS, seed=np.zeros(40, np.int64))
    (folder / "classes.json").write_text(json.dumps(NAMES))
    assert run(f"statistics {folder}/good.npz --judge {folder}/cnn.json -o {folder}/stats.npz".split()) == 0
    assert evaluate(folder, more=f"-o {folder}/good.json --scorer judge={folder}/clip.json") == 0
    return folder


def evaluate(folder, samples="good.npz", reference="stats.npz", judge="cnn.json", more="") -> int:
    command = f"evaluate {folder}/{samples} --reference {folder}/{reference} --judge {folder}/{judge} {more}"
    return run(command.split())


def refused(tried, action) -> str:
    """The one line; the status 2 belongs to it, see test_the_command_ends_with_status_2."""
    with pytest.raises(UserError) as caught:
        action()
    line = str(caught.value)
    assert "\n" not in line
    assert len(line) < 700
    tried["bad inputs of metrics"] += 1
    return line


# what is wrong -> (arrays of a batch, what the line says)
BATCHES = {
    "negative labels": ({"arr_1": LABELS - 1}, "arr_1 has -1 to 8"),
    "huge labels": ({"arr_1": LABELS + 10**6}, "arr_1 has 1000000"),
    "labels without names": ({"arr_1": LABELS + 5}, "labels go up to 14, but digits-cnn has 10 class names"),
    "largest labels": ({"arr_1": np.full(40, 2**64 - 1, np.uint64)}, "arr_1 has 18446744073709551615"),
    "fractional labels": ({"arr_1": LABELS + 0.5}, "arr_1 is float64"),
    "float labels": ({"arr_1": LABELS.astype(np.float32)}, "arr_1 is float32"),
    "NaN labels": ({"arr_1": np.full(40, np.nan)}, "arr_1 is float64"),
    "text labels": ({"arr_1": np.array(["a"] * 40)}, "arr_1 is <U1"),
    "truth labels": ({"arr_1": LABELS > 3}, "arr_1 is bool"),
    "time labels": ({"arr_1": LABELS.astype("M8[s]")}, "arr_1 is datetime64"),
    "scalar labels": ({"arr_1": np.array(3)}, "labels has shape ()"),
    "few labels": ({"arr_1": LABELS[:3]}, "labels has shape (3,)"),
    "labels in columns": ({"arr_1": LABELS[:, None]}, "labels has shape (40, 1)"),
    "text seed": ({"seed": np.array("zero")}, "seed is <U4"),
    "scalar seed": ({"seed": np.array(0)}, "seed has shape ()"),
    "negative seed": ({"seed": LABELS - 1}, "seed has -1"),
    "fractional seed": ({"seed": LABELS / 2}, "seed is float64"),
    "scalar images": ({"arr_0": np.array(3, np.uint8)}, "images have shape ()"),
    "text images": ({"arr_0": np.array("image")}, "images are <U5"),
    "float images": ({"arr_0": IMAGES / 255}, "images are float64"),
    "signed images": ({"arr_0": IMAGES.astype(np.int8)}, "images are int8"),
    "flat images": ({"arr_0": IMAGES.reshape(40, -1)}, "images have shape (40, 3072)"),
    "grey images": ({"arr_0": IMAGES[..., :1]}, "images have shape (40, 32, 32, 1)"),
    "images without pixels": ({"arr_0": IMAGES[:, :0]}, "images have shape (40, 0, 32, 3)"),
    "sets in turns": ({"set": np.arange(40) % 2}, "set does not number sets of equal size"),
    "unequal sets": ({"set": (np.arange(40) > 10) * 1}, "set does not number sets of equal size"),
    "few numbers of sets": ({"set": np.zeros(3, int)}, "set does not number sets of equal size"),
    "fractional sets": ({"set": np.zeros(40)}, "set is float64, not whole numbers"),
    "more sets than images": ({"set": np.full(40, 900)}, "set does not number sets of equal size"),
    "no images": ({"arr_0": IMAGES[:0], "arr_1": LABELS[:0], "seed": LABELS[:0]}, "0 images"),
    "one image": ({"arr_0": IMAGES[:1], "arr_1": LABELS[:1], "seed": LABELS[:1]}, "1 images"),
    "other size": ({"arr_0": IMAGES[:, :16, :16]}, "takes images of shape"),
    "structured": ({"arr_0": np.zeros(40, "u1,u1")}, "images are"),
    "objects": ({"arr_0": np.array([{}] * 40, dtype=object)}, "not a readable npz"),
    "one object": ({"arr_1": np.array([{}] * 40, dtype=object)}, "not a readable npz"),
    "uneven seeds": ({"seed": np.arange(40) // 30}, "seed"),
}


@pytest.mark.parametrize("what", BATCHES)
def test_bad_batches(folder, tmp_path, tried, what):
    arrays, words = BATCHES[what]
    sound = {"arr_0": IMAGES, "arr_1": LABELS, "seed": np.zeros(40, np.int64)}
    np.savez(folder / "bad.npz", **(sound | arrays))
    line = refused(tried, lambda: evaluate(folder, "bad.npz", more=f"-o {tmp_path}/out.json"))
    assert "bad.npz" in line or "digits-cnn" in line
    assert words in line
    assert not list(tmp_path.iterdir())


def header(shape, descr="|u1") -> bytes:
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}"
    text = text.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


def archive(members, stored=True) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED) as made:
        for name, content in members.items():
            made.writestr(name, content)
    return file.getvalue()


def with_size(content: bytes, size: int) -> bytes:
    """The archive's one member said to unpack to `size` bytes, in both of its headers."""
    found = bytearray(content)
    for mark, place in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        found[found.index(mark) + place : found.index(mark) + place + 4] = struct.pack("<I", size)
    return bytes(found)


def flipped(content: bytes, place: int, bits: int = 4) -> bytes:
    return content[:place] + bytes([content[place] ^ bits]) + content[place + 1 :]


DATA = IMAGES.tobytes()
PLAIN = archive(
    {
        "arr_0.npy": header(IMAGES.shape) + DATA,
        "arr_1.npy": header((40,), "<i8") + LABELS.astype("<i8").tobytes(),
    }
)
PACKED = archive({"arr_0.npy": header(IMAGES.shape) + DATA}, stored=False)
ARCHIVES = {
    "claims too much": archive(
        {"arr_0.npy": header((41, 32, 32, 3)) + DATA, "next.npy": header((3072,)) + DATA[:3072]}
    ),
    "claims too little": archive({"arr_0.npy": header((39, 32, 32, 3)) + DATA}),
    "claims petabytes": archive({"arr_0.npy": header((2**40, 32, 32, 3)) + DATA}),
    "claims petabytes, packed": archive({"arr_0.npy": header((2**40, 32, 32, 3)) + DATA}, stored=False),
    "claims more than all": archive({"arr_0.npy": header((2**63, 2**63, 2**63, 3)) + DATA}),
    "negative shape": archive({"arr_0.npy": header((-40, 32, 32, 3)) + DATA}),
    "two negative": archive({"arr_0.npy": header((-40, -32, 32, 3)) + DATA}),
    "bomb": with_size(
        archive({"arr_0.npy": header((2**18, 32, 32, 3)) + bytes(1000)}, stored=False), 2**18 * 3072 + 128
    ),
    "flipped in the data": flipped(PLAIN, 5000),
    "flipped in packed data": flipped(PACKED, 5000),
    "flipped in a header": flipped(PLAIN, 45),
    "cut": PLAIN[:-200],
    "cut in half": PLAIN[: len(PLAIN) // 2],
    "cut, packed": PACKED[:2000],
    "empty": b"",
    "text": b"not an archive",
    "zeros": bytes(10_000),
    "no members": archive({}),
    "empty member": archive({"arr_0.npy": b""}),
    "text member": archive({"arr_0.npy": b"hello"}),
    "format 9": archive({"arr_0.npy": b"\x93NUMPY\x09\x00" + header((4,))[8:]}),
    "code in a header": archive(
        {"arr_0.npy": b"\x93NUMPY\x01\x00\x20\x00" + b"__import__('os').system('x')    \n"}
    ),
    "deep header": archive({"arr_0.npy": b"\x93NUMPY\x01\x00" + struct.pack("<H", 60_000) + b"(" * 60_000}),
    "objects in a header": archive({"arr_0.npy": header((4,), "|O") + b"cos\nsystem\n(S'touch PWNED'\ntR."}),
    "odd type": archive({"arr_0.npy": header((4,), "|X9") + b"1234"}),
    "folder": archive({"arr_0.npy/": b""}),
    "nested": archive({"arr_0.npy": PLAIN}),
    "encrypted": PLAIN.replace(b"PK\x01\x02\x14\x03\x14\x00\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01\x00"),
    "unknown method": PACKED.replace(b"\x08\x00", b"\x63\x00", 2),
}


@pytest.mark.parametrize("what", ARCHIVES)
def test_bad_archives(folder, tmp_path, tried, what):
    (folder / "bad.npz").write_bytes(ARCHIVES[what])
    line = refused(tried, lambda: evaluate(folder, "bad.npz", more=f"-o {tmp_path}/out.json"))
    assert "bad.npz" in line
    assert not list(tmp_path.iterdir())
    refused(tried, lambda: evaluate(folder, reference="bad.npz"))


def test_sound_archives_are_read(folder):
    for content in (PLAIN, PACKED):
        (folder / "sound.npz").write_bytes(content)
        assert np.array_equal(read_samples(folder / "sound.npz").images, IMAGES)


MU, SIGMA = np.zeros(WIDTH), np.eye(WIDTH)
REFERENCES = {
    "wider": (
        {"mu": np.zeros(40), "sigma": np.eye(40)},
        "statistics of 40 features, but the judge gives 32",
    ),
    "narrower": ({"mu": np.zeros(5), "sigma": np.eye(5)}, "statistics of 5 features"),
    "misfit": ({"sigma": np.eye(31)}, "do not fit together"),
    "one number": ({"sigma": np.array(3.0)}, "sigma is float64 of shape ()"),
    "mean in columns": ({"mu": MU[:, None]}, "mu is float64 of shape (32, 1)"),
    "no features": ({"features": np.zeros((0, WIDTH), np.float32)}, "features have shape (0, 32)"),
    "other features": ({"features": np.zeros((9, 5), np.float32)}, "features have shape (9, 5)"),
    "flat features": ({"features": np.zeros(9, np.float32)}, "features is float32 of shape (9,)"),
    "text features": ({"features": np.array([["a"]])}, "features is <U1"),
    "NaN features": (
        {"features": np.full((9, WIDTH), np.nan, np.float32)},
        "9 of 9 images have features that are not finite",
    ),
    "too many labels": (
        {"features": np.ones((9, WIDTH), np.float32), "labels": LABELS},
        "9 features, but labels of shape (40,)",
    ),
    "negative labels": (
        {"features": np.ones((40, WIDTH), np.float32), "labels": LABELS - 1},
        "labels has -1",
    ),
    "vector n": ({"n": np.array([3, 4])}, "n is int64 of shape (2,)"),
    "fractional n": ({"n": np.array(0.5)}, "n is float64"),
    "negative n": ({"n": np.array(-4)}, "n has -4"),
    "negative covariance": ({"sigma": -SIGMA}, "sigma is no covariance"),
    "absurd covariance": ({"sigma": SIGMA * 1e300}, "sigma is no covariance"),
    "lopsided covariance": (
        {"sigma": SIGMA + np.triu(np.ones((WIDTH, WIDTH)), 1) * 0.5},
        "sigma is no covariance",
    ),
    "impossible covariance": ({"sigma": np.ones((WIDTH, WIDTH)) * 9 - 8 * SIGMA}, "sigma is no covariance"),
    "NaN covariance": ({"sigma": SIGMA * np.nan}, "not finite"),
    "infinite mean": ({"mu": MU + np.inf}, "not finite"),
    "whole mean": ({"mu": MU.astype(int)}, "mu is int64"),
    "text mean": ({"mu": np.array(["a"] * WIDTH)}, "mu is <U1"),
    "complex": ({"sigma": SIGMA * 1j}, "sigma is complex128"),
    "number as hash": ({"judge_sha256": np.array(7)}, "judge_sha256 is int64"),
    "other judge": ({"judge_sha256": np.array("0" * 64)}, "made by a judge with sha256 000000000000"),
    "crop of numbers": ({"crop": np.array([1.0])}, "crop is float64"),
    "left out numbers": ({"left_out": np.array(3)}, "left_out is int64"),
}


@pytest.mark.parametrize("what", REFERENCES)
def test_bad_references(folder, tmp_path, tried, what):
    arrays, words = REFERENCES[what]
    np.savez(folder / "bad.npz", **({"mu": MU, "sigma": SIGMA} | arrays))
    line = refused(tried, lambda: evaluate(folder, reference="bad.npz", more=f"-o {tmp_path}/out.json"))
    assert "bad.npz" in line
    assert words in line
    assert not list(tmp_path.iterdir())


def test_batches_and_statistics_are_not_each_other(folder, tried):
    assert "no mu and sigma" in refused(tried, lambda: evaluate(folder, reference="good.npz"))
    assert "no array arr_0" in refused(tried, lambda: evaluate(folder, "stats.npz"))


TEXTS = {
    "binary": bytes(range(256)),
    "latin-1": '["für"]'.encode("latin-1"),
    "empty": b"",
    "cut": b'[{"metric": ',
    "brackets": b"[" * 100_000,
    "nested": b"[" * 5000 + b"]" * 5000,
    "a number": b"7",
    "null": b"null",
    "text": b'"x"',
    "numbers": b"[1, 2]",
    "lists": b"[[], []]",
    "mapping": b"{}",
    "endless": b"9" * 100_000,
    "unknown kind": b'{"kind": "oracle"}',
    "kind of a list": b'{"kind": []}',
    "nothing else": b'{"kind": "cnn"}',
    "published, no weights": b'{"kind": "published", "judge": "clip-l", "weights": "no.pt", "sha256": "0", "class_names": [], '
    b'"template": "{}"}',
    "published numbers": b'{"kind": "published", "judge": 3, "weights": 4, "sha256": 5, "class_names": 6, "template": 7}',
}  # fmt: skip


@pytest.mark.parametrize("what", TEXTS)
def test_bad_json(folder, tmp_path, tried, what):
    (folder / "bad.json").write_bytes(TEXTS[what])
    for action in (
        lambda: evaluate(folder, judge="bad.json"),
        lambda: evaluate(folder, more=f"--scorer judge={folder}/bad.json"),
        lambda: evaluate(
            folder,
            more=f"--scorer clip-l={folder}/good.json --classes {folder}/bad.json -o {tmp_path}/out.json",
        ),
        lambda: run(["compare", f"{folder}/good.json", f"{folder}/bad.json"]),
        lambda: run(["compare", f"{folder}/bad.json", f"{folder}/good.json"]),
    ):
        refused(tried, action)
    assert not list(tmp_path.iterdir())


ROWS = {
    "text value": {"value": "much"},
    "no value": {"value": None},
    "text interval": {"ci_low": "low"},
    "text seeds": {"seeds": "0"},
    "no seeds": {"seeds": [], "values": []},
    "values of other seeds": {"values": [1.0, 2.0]},
    "halves of text": {"halves": [{"sha256": "x", "values": ["a", "b"]}]},
    "no halves": {"halves": [{"sha256": "x", "values": []}]},
    "halves are a mapping": {"halves": {"sha256": "x", "values": [[1.0, 2.0]]}},
    "text protocol": {"protocol": "usual"},
    "number as judge": {"judge": 3},
    "direction": {"higher_is_better": "yes"},
    "metric": {"metric": ["a"]},
}


@pytest.mark.parametrize("what", ROWS)
def test_bad_rows(folder, tried, what):
    rows = json.loads((folder / "good.json").read_text())
    (folder / "bad.json").write_text(json.dumps([rows[0] | ROWS[what], *rows[1:]]))
    line = refused(tried, lambda: run(["compare", f"{folder}/good.json", f"{folder}/bad.json"]))
    assert "bad.json: not a list of measurements" in line
    assert next(iter(ROWS[what])) in line or "values of" in line


def test_halves_of_another_number(folder, tried):
    rows = json.loads((folder / "good.json").read_text())
    row = next(row for row in rows if row["halves"][0]["values"])
    (own,) = row["halves"]
    shorter = row | {"halves": [own | {"values": own["values"][1:]}]}
    assert "not as many values" in refused(tried, lambda: compare([row], [shorter]))


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("--device quantum", "--device 'quantum'"),
        ("--device cuda:7", "--device 'cuda:7'"),
        ("--device cpu:nine", "--device 'cpu:nine'"),
        ("--device meta:x", "--device"),
        ("--scorer clip-l=nothing", "needs --classes"),
        ("--scorer oracle=x", "write KIND=PATH"),
        ("--scorer judge=none.json", "no such file"),
        ("--scorer =x", "write KIND=PATH"),
    ],
)
def test_bad_options(folder, tmp_path, tried, more, words):
    assert words in refused(tried, lambda: evaluate(folder, more=f"{more} -o {tmp_path}/out.json"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("more", ["--keep -1", "--keep 0", "--crop 0", "--crop -5"])
def test_bad_numbers_for_statistics(folder, tmp_path, tried, more):
    option, number = more.split()
    line = refused(
        tried,
        lambda: run(
            f"statistics {folder}/good.npz --judge {folder}/cnn.json {more} -o {tmp_path}/out.npz".split()
        ),
    )
    assert line == f"{option} {number}: give a number from 1 up"
    assert not list(tmp_path.iterdir())


def test_damaged_weights_of_a_judge(folder, tmp_path, tried):
    description, weights = (folder / "cnn.json").read_text(), (folder / "cnn.safetensors").read_bytes()
    for content in (b"", weights[:100], flipped(weights, len(weights) // 2)):
        (tmp_path / "cnn.json").write_text(description)
        (tmp_path / "cnn.safetensors").write_bytes(content)
        assert "do not belong together" in refused(tried, lambda: load(tmp_path / "cnn"))
    # a pair that fits together, and is nobody's weights
    from hashlib import sha256

    for content in (b"", b"{}", weights[:100], (folder / "clip.safetensors").read_bytes()):
        (tmp_path / "cnn.safetensors").write_bytes(content)
        changed = json.loads(description) | {"sha256": sha256(content).hexdigest()}
        (tmp_path / "cnn.json").write_text(json.dumps(changed))
        assert "not this judge's weights" in refused(tried, lambda: load(tmp_path / "cnn"))
    for key, value in {
        "constants": 3,
        "class_names": None,
        "config": [],
        "template": 5,
        "sha256": None,
    }.items():
        (tmp_path / "cnn.safetensors").write_bytes(weights)
        (tmp_path / "cnn.json").write_text(json.dumps(json.loads(description) | {key: value}))
        refused(tried, lambda: load(tmp_path / "cnn"))


@pytest.mark.long
@pytest.mark.parametrize(
    "content", [b"", b"PK", b"\x80\x02cos\nsystem\nU\x05touch\x85R.", PLAIN, bytes(5000)]
)
def test_damaged_weights_of_published_judges(folder, tmp_path, tried, monkeypatch, content):
    """Of each kind; no network is asked for what is not there."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "no-cache"))
    for name in ("w.pt", "w.pth", "ImageReward.pt", "pytorch_model.bin"):
        (tmp_path / name).write_bytes(content)
    (tmp_path / "med_config.json").write_text("{}")
    (tmp_path / "config.json").write_text('{"model_type": "clip"}')
    for kind, path in (("clip-l", "w.pt"), ("clip-b", "w.pt"), ("pick-score", "."), ("image-reward", ".")):
        more = f"--scorer {kind}={tmp_path}/{path} --classes {folder}/classes.json"
        assert str(tmp_path) in refused(tried, lambda more=more: evaluate(folder, more=more))
    line = refused(
        tried,
        lambda: run(f"statistics {folder}/good.npz --judge {tmp_path}/w.pth -o {tmp_path}/s.npz".split()),
    )
    assert "w.pth: not a plain weights file" in line
    assert not (tmp_path / "s.npz").exists()


def test_image_reward_asks_no_hub_for_a_vocabulary(folder, tmp_path, tried, monkeypatch):
    import huggingface_hub.constants
    import transformers.utils.hub

    for module in (huggingface_hub.constants, transformers.utils.hub):
        monkeypatch.setattr(module, "HF_HUB_CACHE", str(tmp_path), raising=False)
    asked = []
    monkeypatch.setattr("requests.Session.request", lambda *a, **k: asked.append(a))
    torch.save({}, tmp_path / "ImageReward.pt")
    (tmp_path / "med_config.json").write_text("{}")
    line = refused(
        tried,
        lambda: evaluate(folder, more=f"--scorer image-reward={tmp_path} --classes {folder}/classes.json"),
    )
    assert "vocab.txt: ImageReward needs BERT's vocabulary" in line
    assert not asked


def test_inception_is_read_once_and_never_without_restriction(tmp_path, monkeypatch):
    """What torch-fidelity unpickles is not the file."""
    from metrics.published import inception

    torch.save({"fc.weight": torch.zeros(2)}, tmp_path / "w.pth")
    loads, plain = [], torch.load
    monkeypatch.setattr(
        torch, "load", lambda f, **k: (loads.append((f, k["weights_only"])), plain(f, **k))[1]
    )
    with pytest.raises(UserError, match=r"w\.pth: not readable as weights"):
        inception.Inception(tmp_path / "w.pth")
    assert [f for f, restricted in loads if f == tmp_path / "w.pth"] == [tmp_path / "w.pth"]
    assert all(restricted or isinstance(f, io.BytesIO) for f, restricted in loads)


def test_the_command_ends_with_status_2(folder, tried):
    import subprocess

    (folder / "bad.npz").write_bytes(b"")
    command = f"-m metrics evaluate {folder}/bad.npz --reference {folder}/stats.npz --judge {folder}/cnn.json"
    done = subprocess.run(
        [sys.executable, *command.split()],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": "."},
    )
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("metrics: error: ")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["metric", "value", "kind", "seeds", "config"]), inner, max_size=4),
    max_leaves=10,
)  # fmt: skip


def read_or_refused(tried, read) -> None:
    line = ""
    try:
        read()
    except UserError as error:
        line = str(error)
    assert "\n" not in line
    tried["drawn files"] += 1


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("drawn")


@given(content=st.binary(max_size=300) | JSON.map(lambda c: json.dumps(c).encode()))
def test_any_json(drawn, tried, content):
    (drawn / "a.json").write_bytes(content)
    read_or_refused(tried, lambda: compare(read_rows(drawn / "a.json"), read_rows(drawn / "a.json")))
    read_or_refused(tried, lambda: load(drawn / "a"))


@given(data=st.data(), whole=st.sampled_from([PLAIN, PACKED]))
def test_any_damage_to_an_archive(drawn, tried, data, whole):
    place = data.draw(
        st.integers(0, len(whole) - 1) | st.integers(0, 300) | st.integers(len(whole) - 300, len(whole) - 1)
    )
    content = whole[:place] + data.draw(st.binary(max_size=8)) + whole[place + data.draw(st.integers(0, 8)) :]
    path = drawn / "a.npz"
    path.write_bytes(content)

    def read():
        found, _ = read_npz(path, ("arr_0", "arr_1"), "mend it")
        # what is read in spite of the damage is what was written: the damage is elsewhere
        assert np.array_equal(found.get("arr_0", IMAGES), IMAGES)

    read_or_refused(tried, read)


class Judge:
    """What a cache asks of one."""

    kind = name = "cnn"
    sha256 = "a" * 64


@pytest.fixture(scope="module")
def cached(drawn):
    """A cache with features of the images, the file's path and content, and the features."""
    cache, samples = FeatureCache(drawn), Samples(IMAGES, None, LABELS)
    features = Features(RNG.random((40, 8), np.float32), RNG.random((40, 3), np.float32))
    cache.put(samples, Judge(), features)
    path = cache.path(samples, Judge())
    return lambda: cache.get(samples, Judge()), path, path.read_bytes(), features


def remembered_or_forgotten(get, features, tried) -> bool:
    """Whether a cache that may be damaged still has the features; what it has are these."""
    found = get()
    assert found is None or np.array_equal(found.features, features.features)
    assert found is None or np.array_equal(found.logits, features.logits)
    tried["damaged caches"] += 1
    return found is not None


@pytest.mark.parametrize(("mark", "place", "value"), [(b"PK\x01\x02", 8, 1), (b"PK\x01\x02", 10, 99)])
def test_a_cache_that_says_it_is_encrypted_or_packed_is_forgotten(cached, tried, mark, place, value):
    get, path, content, features = cached
    path.write_bytes(content)
    assert remembered_or_forgotten(get, features, tried)
    place += content.index(mark)
    path.write_bytes(content[:place] + bytes([value]) + content[place + 1 :])
    assert not remembered_or_forgotten(get, features, tried)


@pytest.mark.parametrize(
    "arrays",
    [
        {"features": np.float32(3), "logits": np.float32(3)},
        {"features": np.zeros((40, 8), np.float32)},
        {"features": np.zeros((40, 8)), "logits": np.zeros((40, 3))},
        {"features": np.zeros((40, 8), np.float32), "logits": np.zeros((9, 3), np.float32)},
    ],
)
def test_a_cache_of_another_kind_is_forgotten(cached, tried, arrays):
    get, path, _, features = cached
    np.savez(path, **arrays)
    assert not remembered_or_forgotten(get, features, tried)


@given(data=st.data())
def test_any_damage_to_a_cache(cached, tried, data):
    get, path, content, features = cached
    ends = st.integers(0, 200) | st.integers(len(content) - 300, len(content) - 1)
    place = data.draw(ends | st.integers(0, len(content) - 1))
    path.write_bytes(flipped(content, place, data.draw(st.integers(1, 255))))
    remembered_or_forgotten(get, features, tried)


ARRAYS = st.one_of(
    st.builds(np.array, st.lists(st.integers(-5, 2**40), max_size=5)),
    st.builds(np.array, st.floats() | st.integers(-(2**62), 2**62) | st.text(max_size=3)),
    st.builds(np.zeros, st.lists(st.integers(0, 5), max_size=4), st.sampled_from(["u1", "i8", "f4", "U2", "?", "c8", "M8[s]"])),
)  # fmt: skip


@given(
    arrays=st.dictionaries(
        st.sampled_from(["arr_0", "arr_1", "seed", "mu", "sigma", "n", "features", "labels", "crop"]), ARRAYS
    )
)
def test_any_arrays(drawn, tried, arrays):
    np.savez(drawn / "a.npz", **arrays)
    read_or_refused(tried, lambda: read_samples(drawn / "a.npz"))
    read_or_refused(tried, lambda: read_reference(drawn / "a.npz"))
