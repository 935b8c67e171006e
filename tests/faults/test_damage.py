"""Damaged files: restored or made again, or refused in one line; never used in silence."""

import hashlib
import json
import os
import shutil
import signal
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.slow
TIMES = (
    "speed",
    "records",
    "report",
    "index",
    "findings",
    "claims",
    "tables",
    "figures",
)  # what differs from run to run, or quotes what does


def flip(content: bytes) -> bytes:
    place = len(content) // 2
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def some(things, whole: bool, turn: int) -> list:
    """All of them, or two, which differ from turn to turn."""
    things = list(things)
    return things if whole else [things[(turn + k * len(things) // 2) % len(things)] for k in (0, 1)]


DAMAGES = {"flipped": flip, "cut": lambda content: content[: len(content) // 2], "empty": lambda content: b""}


def one_error(done) -> str:
    """The one line of a command that refused to go on."""
    lines = [line for line in done.stderr.splitlines() if "error" in line or "is not what" in line]
    assert done.returncode != 0, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    assert len(lines) == 1, done.stderr
    return lines[0]


def outputs(checkout) -> dict[str, list[Path]]:
    """Stage -> the files of its outputs, as DVC has recorded them."""
    stages = yaml.safe_load((checkout.path / "dvc.lock").read_text())["stages"]
    found = {}
    for address, entry in stages.items():
        paths = [checkout.path / out["path"] for out in entry["outs"]]
        found[address] = [
            f for p in paths for f in (sorted(p.rglob("*")) if p.is_dir() else [p]) if f.is_file()
        ]
    return found


def content(checkout) -> dict[str, bytes]:
    """All results but times, and what quotes them."""
    root = checkout.path / "results"
    files = (p for p in sorted(root.rglob("*")) if p.is_file() and p.name != ".snakemake_timestamp")
    return {
        str(p.relative_to(root)): p.read_bytes()
        for p in files
        if not any(part.split(".")[0] in TIMES for part in p.relative_to(root).parts)
    }


def differing(checkout, expected: dict[str, bytes]) -> list[str]:
    """Results that are not as expected, by name."""
    found = content(checkout)
    return sorted(n for n in expected.keys() | found.keys() if found.get(n) != expected.get(n))


def one_of_each_kind(checkout) -> list[Path]:
    """Of each stage one file of each suffix."""
    return [
        next(f for f in files if f.suffix == suffix)
        for kind, files in {a.split("@")[0]: f for a, f in outputs(checkout).items()}.items()
        for suffix in sorted({f.suffix for f in files})
    ]


@pytest.mark.long
def test_damaged_outputs_are_restored(copy, tried, whole):
    """Of all stages at once, since a run costs seconds; each in a way of its own, and every way where there is time."""
    expected = content(copy)
    files = one_of_each_kind(copy)
    assert len(files) > 30
    for turn in range(len(DAMAGES) if whole else 1):
        for number, file in enumerate(files):
            name = list(DAMAGES)[(number + turn) % len(DAMAGES)]
            damaged = DAMAGES[name](file.read_bytes()) if file.stat().st_size else b"more"
            mode = file.stat()
            file.write_bytes(damaged)
            os.utime(file, ns=(mode.st_atime_ns, mode.st_mtime_ns))  # as a disk does, which tells nobody
        copy.run("snakemake")
        assert differing(copy, expected) == []
        assert "up to date" in copy.run("dvc", "status").stdout
        tried["damaged outputs"] += len(files)


@pytest.mark.long
def test_damaged_objects_of_the_cache_are_made_again(copy, tried):
    """DVC believes in files that are write-protected; a file, and one of a folder."""
    expected = content(copy)
    for name in ("metrics/marval.json", "snapshots/marval-rl-s0/step-00000000.safetensors"):
        file = copy.path / "results/smoke" / name
        md5 = hashlib.md5(file.read_bytes()).hexdigest()
        kept = copy.path / f".dvc/cache/files/md5/{md5[:2]}/{md5[2:]}"
        for damaged, mode in ((kept, 0o444), (file, 0o644)):
            damaged.chmod(0o644)
            damaged.write_bytes(flip(damaged.read_bytes()))
            damaged.chmod(mode)
    done = copy.run("snakemake")
    assert done.stderr.count("is damaged, and is removed: what it was is made again") == 2
    assert differing(copy, expected) == []
    assert "up to date" in copy.run("dvc", "status").stdout
    tried["damaged objects of the cache"] += 2


STAGES = {
    "evaluate smoke --variant marval": ["samples/marval.npz", "judges/cnn.safetensors"],
    "sample smoke --variant marval": ["models/tokenizer.safetensors", "models/marval/seed-0.safetensors"],
    "distill smoke --variant marval --seed 0": ["models/teacher/seed-0.safetensors", "models/teacher/seed-0.json"],
    "teacher smoke --seed 0": ["latents/train/data-00000-of-00001.arrow"],
    "encode smoke": ["data/train.parquet"],
    "judges smoke": ["data/test.npz"],
    "watch smoke --variant marval-rl --seed 0": ["snapshots/marval-rl-s0/step-00000000.safetensors"],
}  # fmt: skip


@pytest.mark.parametrize("command", STAGES)
def test_a_stage_refuses_damaged_inputs(copy, tried, command):
    before = content(copy)
    for name in STAGES[command]:
        file = copy.path / "results/smoke" / name
        sound = file.read_bytes()
        file.write_bytes(flip(sound))
        line = one_error(copy.marval(*command.split(), check=False))
        assert "results/smoke/" in line
        assert " is not what " in line
        assert "md5" in line
        assert "run `snakemake`" in line
        file.write_bytes(sound)
        tried["damaged inputs of a stage"] += 1
    assert differing(copy, before) == []


@pytest.mark.long
def test_the_report_refuses_results_that_are_not_their_runs(copy, tried, whole):
    root = copy.path / "results/smoke"
    report = (root / "report.html").read_bytes()
    files = [
        *(
            "metrics/marval.json",
            "curves/teacher-s0.csv",
            "samples/marval.npz",
            "judges/quality.json",
            "speed.json",
        ),
        *(
            "calibration.json",
            "showcase.npz",
            "neighbours.npz",
            "data/classes.json",
            "watch/marval-rl-s0.json",
        ),
    ]
    ways = [(damage, command) for damage in ("flipped", "empty") for command in ("smoke", "verdicts")]
    for turn, name in enumerate(files):
        file = root / name
        sound = file.read_bytes()
        for damage, command in ways if whole else [ways[turn % len(ways)]]:
            file.write_bytes(DAMAGES[damage](sound))
            done = copy.run("python", "-m", "reports", command, check=False)
            assert done.returncode == 2, done.stderr
            assert len(done.stderr.splitlines()) == 1, done.stderr
            assert "is not what" in done.stderr
            assert "results/smoke/" in done.stderr
            tried["damaged inputs of the report"] += 1
        file.write_bytes(sound)
    assert (root / "report.html").read_bytes() == report
    copy.run("python", "-m", "reports", "smoke")


KEPT = {  # files that the machinery keeps -> whether a run mends them by itself
    "workflow/runs.yaml": True,
    ".dvc/tmp/rwlock": True,
    "runs/hashes.json": True,
    "dvc.lock": True,
    "params.yaml": False,
    "workflow/presets/smoke.yaml": False,
}
WRONG = {
    "binary": bytes(range(256)),
    "empty": b"",
    "list": b"- 1\n",
    "cut": b"{",
    "word": b"word",
    "json": b"[1]",
}


@pytest.mark.long
@pytest.mark.parametrize("name", KEPT)
def test_damaged_files_of_the_machinery(copy, tried, whole, name):
    path = copy.path / name
    (copy.path / "results/smoke/scores/marval.json").unlink()
    copy.run("snakemake")  # a second start, which has a finished run to keep
    sound = path.read_bytes() if path.exists() else None
    for wrong in some(WRONG.values(), whole, list(KEPT).index(name)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(wrong)
        (copy.path / "results/smoke/scores/marval.json").unlink(missing_ok=True)
        done = copy.run("snakemake", check=False)
        if KEPT[name]:
            assert done.returncode == 0, done.stderr
        else:
            line = one_error(done)
            assert name in line
            assert sound is not None
            path.write_bytes(sound)
        tried["damaged files of the machinery"] += 1
    copy.run("snakemake")
    assert "up to date" in copy.run("dvc", "status").stdout


def test_damaged_stage_entries_of_dvc_lock(copy, tried, whole):
    path = copy.path / "dvc.lock"
    sound = yaml.safe_load(path.read_text())
    address = "evaluate@smoke-marval"
    (copy.path / ".dvc/tmp/dvc.lock.kept").unlink()
    wrongs = [
        None,
        [],
        "x",
        {},
        {"cmd": "x", "outs": 3},
        {"cmd": "x", "deps": [3]},
        {"cmd": "x", "params": []},
    ]
    for wrong in some(wrongs, whole, 0):
        path.write_text(yaml.safe_dump(sound | {"stages": sound["stages"] | {address: wrong}}))
        line = one_error(copy.run("snakemake", check=False))
        assert "dvc.lock is damaged" in line
        assert "git checkout dvc.lock" in line
        tried["damaged files of the machinery"] += 1


TOLD = ["workflow/runs.yaml", "params.yaml", "dvc.lock"]


@pytest.mark.long
@pytest.mark.parametrize("name", TOLD)
def test_commands_name_them_too(copy, tried, whole, name):
    for wrong in some(WRONG.values(), whole, TOLD.index(name)):
        (copy.path / name).write_bytes(wrong)
        for command in (
            ["runs", "--check", "results/runs.json"],
            ["teacher", "smoke", "--seed", "0"],
            ["plan"],
        ):
            done = copy.marval(*command, check=False)
            assert "Traceback" not in done.stderr, done.stderr
            assert done.returncode in (0, 2), done.stderr
            assert sum(line.startswith("marval: error: ") for line in done.stderr.splitlines()) == (
                done.returncode == 2
            )
            tried["damaged files of the machinery"] += 1


INTERRUPTED = {
    "teacher smoke --seed 0": ("models/teacher/seed-0.safetensors", "state-*.pt"),
    "judges smoke": ("judges/cnn.safetensors", "cnn-*.pt"),
}


@pytest.mark.parametrize("command", INTERRUPTED)
@pytest.mark.long
def test_a_damaged_checkpoint_is_set_aside_and_the_one_before_it_taken(copy, tried, command):
    name, pattern = INTERRUPTED[command]
    weights = copy.path / "results/smoke" / name
    expected = weights.read_bytes()
    killed = copy.marval(*command.split(), check=False, FATAL_SIGNAL="SIGKILL")
    assert killed.returncode == 128 + signal.SIGKILL
    before, last = sorted((copy.path / "runs").rglob(pattern))
    last.write_bytes(flip(last.read_bytes()))
    done = copy.marval(*command.split())
    assert f"{last.relative_to(copy.path)} is damaged: set aside as {last.name}.damaged" in done.stderr
    log = next((copy.path / "logs" / command.split()[0]).glob("*.log")).read_text()
    assert f"resuming from {before.relative_to(copy.path)}" in log
    assert weights.read_bytes() == expected
    tried["damaged checkpoints"] += 1


def test_damaged_seconds_cost_the_time_alone(copy, tried):
    copy.marval("teacher", "smoke", "--seed", "0", check=False, FATAL_SIGNAL="SIGINT")
    (path,) = (copy.path / "runs").rglob("seconds.json")
    path.write_bytes(bytes(range(256)))
    copy.marval("teacher", "smoke", "--seed", "0")
    tried["damaged files of the machinery"] += 1


def test_no_git_is_one_line(fresh, tmp_path, tried):
    checkout = fresh.copy(tmp_path / "marval")
    shutil.rmtree(checkout.path / ".git")
    line = one_error(checkout.run("snakemake", check=False))
    assert (
        "is not a git checkout, which DVC needs: get the project by `git clone`, or run `git init` here"
        in line
    )
    tried["environments"] += 1


def test_records_that_say_nothing_are_named(copy, tried):
    record = copy.path / "results/smoke/records/teacher-s0.json"
    for wrong in (
        b"",
        b"[]",
        b"{}",
        json.dumps({"outputs": {}}).encode(),
        json.dumps({"outputs": []}).encode(),
    ):
        record.write_bytes(wrong)
        line = one_error(copy.marval("distill", "smoke", "--variant", "marval", "--seed", "0", check=False))
        assert "records/teacher-s0.json is damaged" in line
        tried["damaged inputs of a stage"] += 1
