"""`python -m marval plan`: what runs, what is done, what is missing, and what it costs."""

import json
import re

import pytest

from marval.pipeline.graph import graph_of
from marval.pipeline.preset import load_preset
from marval.plan.command import plan
from marval.plan.hardware import ANCHOR, CARDS, Hardware, Job, wall_seconds
from marval.plan.needs import Estimator


def job(seconds, gpus, *after):
    return Job(seconds, gpus, frozenset(after))


def test_stages_share_the_gpus_and_wait_for_each_other():
    jobs = {
        "encode": job(80, 8),
        "a": job(60, 4, "encode"),
        "b": job(60, 4, "encode"),
        "c": job(80, 8, "a", "b", "elsewhere"),
        "report": job(0, 1, "c"),
    }
    assert wall_seconds(jobs, 8) == 10 + 15 + 10
    assert wall_seconds(jobs, 4) == 20 + 15 + 15 + 20
    assert wall_seconds(jobs, 1) == 280


@pytest.mark.slow
def test_a_fresh_preset_is_all_to_run(fresh):
    shown = fresh.marval("plan", "smoke").stdout
    assert all(len(line) <= 120 for line in shown.splitlines())
    table = [line for line in shown.splitlines() if "to run" in line]
    assert [line.split()[0] for line in table][:7] == [
        *("settings", "prepare", "tokenizer", "encode", "judges", "teacher", "distill"),
    ]
    assert "done" not in shown
    total = shown.splitlines()[-1]
    assert re.match(r"Total: 33 stages, [\d.]+ [GT]FLOP", total)
    assert total.endswith("start: make reproduce PRESET=smoke")


@pytest.mark.slow
def test_a_folder_that_nobody_has_counted_yet(root, tmp_path, monkeypatch):
    for name in ("dvc.yaml", "workflow"):
        (tmp_path / name).symlink_to(root / name)
    monkeypatch.chdir(tmp_path)
    shown = plan(["custom"], Hardware("4090"))
    assert "data/custom/train: training images" in shown
    assert (
        "Training images: not known before `prepare` has run; to encode them counts as nothing until then."
        in shown
    )
    assert "what one 4090 reaches" in shown


@pytest.mark.parametrize("gpu", CARDS)
def test_hours_are_operations_over_what_is_reached(gpu):
    hardware = Hardware(gpu, 0.5)
    assert 70e12 < hardware.machine.operations < 1000e12
    assert hardware.seconds(hardware.machine.operations) == 2
    # a judge's operation takes longer: it does not use the tensor cores
    assert hardware.seconds(0, 1e12) > hardware.seconds(1e12)


def test_utilisation_is_measured_where_this_gpu_was_timed():
    hardware = Hardware("4090")
    rate = hardware.machine.operations
    row = {
        "mode": "optimised",
        "device": "NVIDIA GeForce RTX 4090",
        "dtype": "bfloat16",
        "batch": 16,
        "flops": rate,
    }
    rows = [
        {**row, "seconds_per_image": 4.0},
        {**row, "seconds_per_image": 9.0, "batch": 1},  # waits for launches
        {**row, "seconds_per_image": 1.0, "mode": "eager"},
        {**row, "batch": 64, "skipped": "a batch of 64 does not fit in memory"},
    ]
    assert hardware.measured(rows).seconds(rate) == 4
    assert Hardware("4090", 0.5).measured(rows).seconds(rate) == 2
    for other in ("NVIDIA GeForce RTX 4090 D", "cpu"):
        assert (
            hardware.measured([{**row, "seconds_per_image": 4.0, "device": other}]).seconds(rate)
            == 1 / ANCHOR
        )


@pytest.mark.slow
def test_gpus_that_nobody_knows_are_refused(fresh):
    done = fresh.marval("plan", "smoke", "--gpu", "H1000", check=False)
    assert done.returncode == 2
    assert "--gpu is 'H1000', which is not known; known: H200, H100, A100, A800" in done.stderr


@pytest.mark.slow
def test_what_is_done_costs_nothing_and_what_changed_is_to_run(copy):
    assert "Total: nothing to do" in copy.marval("plan", "smoke").stdout
    copy.replace("workflow/presets/smoke.yaml", "{start: marval, steps: 2,", "{start: marval, steps: 3,")
    shown = copy.marval("plan", "smoke").stdout
    to_run = {line.split()[0] for line in shown.splitlines() if re.search(r"\sto run\b", line)}
    assert to_run == {"settings", "reinforce", "frames", "watch", "sample", "evaluate", "report"}
    assert "Total: 7 stages" in shown


@pytest.mark.slow
@pytest.mark.long
def test_what_is_gone_is_to_run(copy):
    (copy.path / "results/smoke/models/tokenizer.json").unlink()
    assert re.search(r"tokenizer +to run", copy.marval("plan", "smoke").stdout)


@pytest.mark.slow
def test_disk_is_what_the_stages_leave(finished, monkeypatch):
    monkeypatch.chdir(finished.path)
    preset = load_preset("smoke")
    needs = Estimator(preset)
    results = finished.path / "results/smoke"
    stages = {stage.kind: stage for stage in graph_of("smoke").stages.values()}
    latents = sum(file.stat().st_size for file in (results / "latents/train").iterdir())
    assert needs.of(stages["encode"]).disk_bytes == pytest.approx(latents, rel=0.03)
    tokenizer = (results / "models/tokenizer.safetensors").stat().st_size
    assert needs.tokenizer_bytes == pytest.approx(tokenizer, rel=0.2)  # a header of names beside few weights
    weights = sum(file.stat().st_size for file in (results / "models/marval").glob("*.safetensors"))
    assert needs.of(stages["distill"]).disk_bytes == pytest.approx(weights, rel=0.05)
    assert json.loads((results / "records/encode.json").read_text())["stage"] == "encode@smoke"


@pytest.mark.slow
@pytest.mark.long
def test_full_scale_without_weights_data_or_gpu(fresh):
    shown = fresh.marval("plan", "imagenet256-base", "--gpus", "8").stdout
    assert all(len(line) <= 160 for line in shown.splitlines())
    rows = {line.split()[0]: line for line in shown.splitlines() if re.search(r"\s(waits|to run)\b", line)}
    assert rows["distill"].startswith("distill x 4")
    assert "data/imagenet/train" in shown
    assert "weights/mar-base/checkpoint-last.pth" in shown
    assert "weights/pick-score, 8 files" in shown
    encode = rows["encode"].split()
    # 2 x 1,281,167 views of 32 x 16 x 16 moments of 4 bytes, and 17 bytes of a row
    assert encode[-1] == f"{2 * 1_281_167 * (32 * 256 * 4 + 17) / 1e9:.1f}"
    total = shown.splitlines()[-1]
    assert re.search(
        r"EFLOP, [\d,.]+ GPU-hours, [\d,.]+ hours on 8 GPUs, \d+ GB; start: make reproduce", total
    )
