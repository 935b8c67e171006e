"""The whole reproduction at miniature size, as a user runs it, and what the two runners know of each other."""

import json
import re
import shutil

import numpy as np
import pytest

from marval.data.images import open_pixels

pytestmark = pytest.mark.slow


def test_one_command_makes_the_report(finished):
    results = finished.path / "results/smoke"
    page = (results / "report.html").read_text()
    claims = json.loads((results / "claims.json").read_text())
    assert {claim["id"] for claim in claims} >= {"C1", "C2", "C3", "C4", "C5"}
    assert all(claim["id"] in page for claim in claims)
    assert all(claim["scope"] == "proxy" for claim in claims)


def test_samples_follow_the_convention(finished):
    with np.load(finished.path / "results/smoke/samples/marval.npz") as batch:
        assert batch["arr_0"].dtype == np.uint8
        assert batch["arr_0"].shape == (200, 32, 32, 3)
        assert np.bincount(batch["arr_1"]).tolist() == [20] * 10


def test_a_variant_may_have_several_sets(finished):
    results = finished.path / "results/smoke"
    with np.load(results / "samples/teacher-4.npz") as batch:
        assert batch["set"].tolist() == [0] * 200 + [1] * 200
        assert batch["index"].tolist() == list(range(400))
        assert not np.array_equal(*np.split(batch["arr_0"], 2))
    rows = json.loads((results / "metrics/teacher-4.json").read_text())
    assert {(row["n"], row["protocol"]["images"]) for row in rows} == {(400, 200)}


def test_every_measurement_has_its_fields(finished):
    for file in (finished.path / "results/smoke/metrics").glob("*.json"):
        for row in json.loads(file.read_text()):
            wanted = {
                "metric",
                "value",
                "ci_low",
                "ci_high",
                "n",
                "seeds",
                "judge",
                "judge_sha256",
                "protocol",
            }
            assert wanted <= row.keys()
            assert row["ci_low"] <= row["value"] <= row["ci_high"], (file.name, row)


def test_scores_of_every_image_are_kept(finished):
    results = finished.path / "results/smoke"
    reported = json.loads((results / "scores/marval.json").read_text())
    with np.load(results / "image_scores/marval.npz") as scores:
        assert scores["digits-clip"].shape == (200,)
        assert scores["digits-clip"].dtype == np.float32
        assert 100 * scores["digits-clip"].astype(float).mean() == pytest.approx(reported["clip_score"])


def test_records_lead_back_to_the_run(finished):
    record = json.loads((finished.path / "results/smoke/records/teacher-s0.json").read_text())
    assert record["command"] == "python -m marval teacher 'smoke' --seed '0'"
    assert record["parameters"]["results/smoke/settings.json"]["teacher"]["steps"] == 200
    assert record["inputs"].keys() == {"results/smoke/latents/train"}
    lock = (finished.path / "dvc.lock").read_text()
    assert all(md5 in lock for md5 in [*record["inputs"].values(), *record["outputs"].values()])


def test_which_presets_are_active_does_not_count_as_changed_code(copy):
    """Records call a run's code changed where it is, and not because other presets were chosen."""
    record = copy.path / "results/smoke/records/calibrate.json"
    copy.marval("activate", "smoke", "latency")
    assert "params.yaml" in copy.run("git", "status", "--porcelain").stdout
    copy.marval("calibrate", "smoke")
    assert json.loads(record.read_text())["git_dirty"] is False
    with (copy.path / "marval/batches.py").open("a") as stream:
        stream.write("# a change\n")
    copy.marval("calibrate", "smoke")
    assert json.loads(record.read_text())["git_dirty"] is True


def test_after_snakemake_both_runners_have_nothing_to_do(finished):
    assert "up to date" in finished.run("dvc", "status").stdout
    assert "Data and pipelines are up to date." in finished.run("dvc", "repro").stdout
    assert "Nothing to be done" in finished.run("snakemake").stderr


@pytest.mark.long
def test_after_dvc_repro_snakemake_computes_nothing(fresh, finished, tmp_path):
    """DVC restores all from its cache, as from a shared remote; Snakemake has never run here."""
    checkout = fresh.copy(tmp_path / "marval")
    shutil.copy(finished.path / "dvc.lock", checkout.path)
    shutil.copytree(finished.path / ".dvc/cache", checkout.path / ".dvc/cache")
    checkout.run("dvc", "repro")
    assert (checkout.path / "results/smoke/report.html").is_file()
    done = checkout.run("snakemake")
    assert "Nothing to be done" in done.stderr
    assert checkout.stages_run() == set()


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        (
            "{start: marval, steps: 2,",
            "{start: marval, steps: 3,",
            {"reinforce", "frames", "watch", "sample", "evaluate", "report"},
        ),
        pytest.param(
            "repetitions: 3", "repetitions: 4", {"speed", "report"}, marks=pytest.mark.long, id="speed"
        ),
        pytest.param(
            "evaluate: {}",
            "evaluate: {resamples: 500}",
            {"evaluate", "report"},
            marks=pytest.mark.long,
            id="evaluate",
        ),
    ],
)
def test_one_parameter_reruns_the_stages_that_read_it(copy, old, new, changed):
    copy.replace("workflow/presets/smoke.yaml", old, new)
    plan = copy.run("snakemake", "-n", "--quiet", "host", "reason").stdout
    planned = set(re.findall(r"^\s*(\w+)_smoke\w*\s+\d+$", plan, flags=re.MULTILINE))
    planned_kinds = {re.sub(r"_+(smoke.*)?$", "", name) for name in planned}
    assert planned_kinds == changed | {"settings"}
    copy.run("dvc", "repro", "settings@smoke")  # DVC knows settings as that stage resolves them
    status = copy.run("dvc", "status", "--json").stdout
    direct = {name.partition("@")[0] for name in json.loads(status)}
    # DVC names the stages whose own inputs changed; those downstream follow when it runs
    assert direct - {"runs"} <= changed
    assert direct & changed


@pytest.mark.long
def test_experiments_of_dvc_set_what_a_preset_has_and_nothing_in_params(fresh, tmp_path):
    checkout = fresh.copy(tmp_path / "marval")
    for key in ("user.name", "user.email"):
        checkout.run("git", "config", key, "test@example.org")
    setting = "workflow/presets/smoke.yaml:prepare.seed=3"
    checkout.run("dvc", "exp", "run", "-S", setting, "settings@smoke")
    settings = json.loads((checkout.path / "results/smoke/settings.json").read_text())
    assert settings["prepare"]["seed"] == 3
    assert "seed: 3" in (checkout.path / "workflow/presets/smoke.yaml").read_text()
    done = checkout.run("dvc", "exp", "run", "-S", "+teacher.steps=3", "runs", check=False)
    assert done.returncode
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("marval: error: ")]
    assert "-S workflow/presets/NAME.yaml:SECTION.KEY=VALUE" in line


@pytest.mark.long
def test_changing_rl_reruns_rl_alone(copy):
    before = {p: p.read_bytes() for p in (copy.path / "results/smoke/models").rglob("*.safetensors")}
    copy.replace("workflow/presets/smoke.yaml", "{start: marval, steps: 2,", "{start: marval, steps: 3,")
    shutil.rmtree(copy.path / "logs")
    shown = copy.run("dvc", "repro").stderr
    of_rl = {f"{stage}@smoke-marval-rl" for stage in ("sample", "evaluate")}
    of_run = {f"{stage}@smoke-marval-rl-0" for stage in ("reinforce", "watch")}
    assert copy.stages_run() == {*of_rl, *of_run, "frames@smoke"}
    changed = {
        p.relative_to(copy.path).as_posix() for p, content in before.items() if p.read_bytes() != content
    }
    assert changed == {"results/smoke/models/marval-rl/seed-0.safetensors"}
    check_progress(shown, "3/3")
    # Snakemake did not see that run; it asks, and computes nothing
    shutil.rmtree(copy.path / "logs")
    copy.run("snakemake")
    assert copy.stages_run() == set()


def check_progress(shown: str, count: str) -> None:
    """Bar, rate (steps a second, or seconds a step on a slow machine), time left and loss of the reinforce stage."""
    line = next(x for x in shown.splitlines() if x.startswith("reinforce@smoke-marval-rl-0 100%"))
    assert re.search("step/s|s/step", line), line
    for part in (count, "left", "loss_reward="):
        assert part in line


def test_snakemake_shows_progress(finished):
    check_progress(finished.shown, "2/2")


def test_reward_training_is_watched(finished):
    watch = json.loads((finished.path / "results/smoke/watch/marval-rl-s0.json").read_text())
    wanted = {"step", "pick_score", "clip_score", "image_reward", "frechet_distance"}
    assert all(wanted <= row.keys() for row in watch["rows"])
    assert [row["step"] for row in watch["rows"]] == [0, 1, 2]  # before the first step, and up to the last
    assert watch["reward"] == "pick_score"


def test_showcase_fills_what_is_hidden_and_keeps_the_rest(finished):
    with np.load(finished.path / "results/smoke/showcase.npz") as arrays:
        assert arrays["strip_raster"].shape == (5, 32, 32, 3)
        given, filled = arrays["inpaint_masked"], arrays["inpaint_filled"]
    assert filled.shape == (8, 5, 32, 32, 3)
    # the upper rows come from the same latents; far from the border the decoder sees little of the lower half
    apart = np.abs(filled.astype(int) - given[:, None].astype(int)).mean(axis=(0, 1, 3, 4))
    assert apart[:8].mean() < 0.75 * apart[20:].mean()
    assert (filled[:, 0] != filled[:, 1]).any()


def test_neighbours_are_training_images(finished):
    results = finished.path / "results/smoke"
    everything = open_pixels(results / "data/train.parquet")
    train = {image.tobytes() for image in everything.images(np.arange(len(everything)))}
    with np.load(results / "neighbours.npz") as arrays:
        assert all(image.tobytes() in train for row in arrays["neighbours"] for image in row)
        assert (np.diff(arrays["distances"], axis=1) >= 0).all()


def test_lint_is_clean_but_for_the_environment_hint(finished):
    hints = re.findall(
        r"^ {4}\* (.*)$", finished.run("snakemake", "--lint", check=False).stderr, flags=re.MULTILINE
    )
    assert set(hints) == {"Specify a conda environment or container for each rule.:"}


@pytest.mark.long
def test_snakemakes_own_report(finished):
    finished.run("snakemake", "--report", "own.html")
    page = (finished.path / "own.html").read_text()
    assert "samples/marval.png" in page


@pytest.mark.long
def test_dvc_shows_metrics_and_curves(finished):
    table = json.loads(finished.run("dvc", "metrics", "show", "--json").stdout)
    scores = table[""]["data"]["results/smoke/scores/marval.json"]["data"]
    assert scores["frechet_distance"] > 0
    finished.run("dvc", "plots", "show", "--out", "plots", "results/smoke/curves/teacher-s0.csv")
    assert "teacher-s0.csv" in (finished.path / "plots/index.html").read_text()
