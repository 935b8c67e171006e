"""Every verdict of every claim, from made-up results."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import made_up
import pytest
from made_up import opened

from reports.claims import Claim, Verdict, as_rows, evaluate
from reports.formats import md5
from reports.paper import Paper
from reports.results import Results

Change = Callable[[dict[str, dict[str, float]]], None]


class World:
    """A small project to bend: means by variant, speeds, settings."""

    def __init__(self, project: Path) -> None:
        self.project = project
        self.root = project / "results" / "made-up"
        self.root.mkdir(parents=True)
        self.means = {variant: dict(means) for variant, means in made_up.MEANS.items()}
        self.how: dict[str, dict[str, Any]] = {}
        self.speed = made_up.speed_rows()
        self.settings = made_up.settings()

    def claim(self, id: str) -> Claim:
        for variant, means in self.means.items():
            made_up.write_metrics(self.root, variant, means, **self.how.get(variant, {}))
        if self.speed:
            made_up.write_json(self.root / "speed.json", self.speed)
        made_up.write_json(self.root / "settings.json", self.settings)
        results = opened(self.project)
        return next(claim for claim in evaluate(results, Paper()) if claim.id == id)

    def drop(self, *variants: str) -> None:
        for variant in variants:
            del self.means[variant]
            self.settings["variants"].pop(variant, None)

    def dearer_order(self) -> None:
        """Raster order costs teacher and student alike: no loss by distillation."""
        for variant in ("teacher-raster", "marval-raster"):
            self.means[variant]["frechet_distance"] *= 1.6

    def without_batch_one(self) -> None:
        self.speed = [row for row in self.speed if row["batch"] != 1]

    def student_seconds(self, seconds: float, relative: float = 0.02) -> None:
        for row in self.speed:
            if row["variant"] == "marval" and row["batch"] == 1 and row["mode"] == "eager":
                row |= {
                    "seconds_per_image": seconds,
                    "ci_low": seconds * (1 - relative),
                    "ci_high": seconds * (1 + relative),
                }


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def set_mean(variant: str, metric: str, value: float) -> Callable[[World], None]:
    return lambda world: world.means[variant].update({metric: value})


def set_spread(variant: str, spread: float) -> Callable[[World], None]:
    return lambda world: world.how.update({variant: {"spread": spread}})


def four_evaluations(world: World) -> None:
    for row in world.speed:
        if row["variant"] == "marval" and "head_evaluations" in row:
            row["head_evaluations"] = 4 * row["ar_steps"]


def no_student(world: World) -> None:
    world.drop(*[v for v in world.means if v.startswith("marval")])
    world.speed = [row for row in world.speed if not row["variant"].startswith("marval")]


def no_speed(world: World) -> None:
    world.speed = []


def by_class(**worse: float) -> Callable[[World], None]:
    """Per-class distances as the whole ones, but for variants (with _ for -) that are so many times worse."""

    def change(world: World) -> None:
        for variant, means in world.means.items():
            factor = worse.get(variant.replace("-", "_"), 1.0)
            means["class_frechet_distance"] = 1.2 * factor * means["frechet_distance"]

    return change


def whole_distance(variant: str, factor: float) -> Callable[[World], None]:
    """The whole distance alone is so many times worse, which decides nothing where there is a per-class one."""

    def change(world: World) -> None:
        by_class()(world)
        world.means[variant]["frechet_distance"] *= factor

    return change


CASES = [
    ("C1", "reproduced", lambda world: None),
    ("C1", "not reproduced", four_evaluations),
    ("C1", "not reproduced", set_mean("marval-raster", "frechet_distance", 3.0)),
    ("C1", "inconclusive", set_mean("marval-raster", "frechet_distance", 1.07)),
    ("C1", "reproduced", lambda world: world.dearer_order()),
    ("C1", "not reproduced", set_mean("inpainted-marval", "frechet_distance", 1.4)),
    ("C1", "not reproduced", set_mean("inpainted-marval", "class_accuracy", 0.8)),
    ("C1", "inconclusive", lambda world: world.drop("marval-raster")),
    ("C1", "not attempted", no_student),
    ("C2", "reproduced", lambda world: None),
    ("C2", "not reproduced", lambda world: world.student_seconds(0.02)),
    ("C2", "inconclusive", lambda world: world.student_seconds(0.0112, 0.1)),
    ("C2", "not attempted", no_speed),
    ("C2", "not attempted", World.without_batch_one),
    ("C3", "reproduced", lambda world: None),
    ("C1", "not reproduced", by_class(marval_raster=3.0)),
    ("C1", "reproduced", whole_distance("marval-raster", 3.0)),
    ("C3", "not reproduced", by_class(marval=2.0)),
    ("C3", "reproduced", whole_distance("marval", 2.0)),
    ("C3", "not reproduced", set_mean("marval", "frechet_distance", 2.0)),
    ("C3", "inconclusive", set_mean("marval", "frechet_distance", 1.01)),
    ("C3", "inconclusive", set_spread("marval", 0.4)),
    ("C3", "not attempted", lambda world: world.drop("teacher-100")),
    ("C4", "reproduced", lambda world: None),
    ("C4", "not reproduced", set_mean("marval-rl", "image_reward", 0.2)),
    ("C4", "inconclusive", set_mean("marval-rl", "image_reward", 0.4201)),
    ("C4", "inconclusive", lambda world: world.means["marval-rl"].pop("image_reward")),
    ("C4", "not attempted", lambda world: world.drop("marval-rl")),
    ("C5", "reproduced", lambda world: None),
    ("C5", "not reproduced", set_mean("marval-w1", "frechet_distance", 0.5)),
    ("C5", "not reproduced", set_mean("marval-w4", "within_class_variance", 4.0)),
    ("C5", "not reproduced", set_mean("marval-w4", "frechet_distance", 2.5)),
    ("C5", "inconclusive", set_mean("marval-w1", "frechet_distance", 0.91)),
    ("C5", "not attempted", lambda world: world.drop("marval-w1", "marval-w4")),
]


@pytest.mark.parametrize(("id", "verdict", "bend"), CASES)
def test_verdict(world: World, id: str, verdict: str, bend: Callable[[World], Any]) -> None:
    bend(world)
    claim = world.claim(id)
    assert claim.verdict == verdict, claim.parts
    assert claim.why.endswith(".")
    assert "\n" not in claim.why


def test_every_verdict_of_every_claim_is_tested() -> None:
    assert {(id, verdict) for id, verdict, _ in CASES} == {
        (f"C{i}", str(v)) for i in range(1, 6) for v in Verdict
    }


def test_a_point_on_the_right_side_is_not_enough(world: World) -> None:
    world.student_seconds(0.0112, 0.1)
    claim = world.claim("C2")
    assert claim.estimate is not None
    assert claim.estimate.value > 30 > claim.estimate.low
    assert claim.verdict == "inconclusive"


def test_a_failing_part_is_named(world: World) -> None:
    world.means["marval-rl"]["image_reward"] = 0.2
    assert "ImageReward" in world.claim("C4").why


@pytest.mark.parametrize(
    ("id", "variant"), [("C3", "marval"), ("C4", "marval-rl")], ids=["distillation", "reward hacking"]
)
def test_unrecognisable_images_leave_a_claim_open(world: World, id: str, variant: str) -> None:
    world.means[variant]["class_accuracy"] = 0.64
    claim = world.claim(id)
    assert claim.verdict == "inconclusive"
    assert "Class accuracy" in claim.why


def test_a_student_no_more_diverse_than_the_undistilled_head_leaves_quality_open(world: World) -> None:
    world.means["marval"]["within_class_variance"] = 0.8
    assert world.claim("C3").verdict == "inconclusive"


def test_the_training_reward_is_no_unseen_judge(world: World) -> None:
    world.means["marval-rl"] |= {"clip_score": 50.0, "image_reward": 0.1, "pick_score": 99.0}
    claim = world.claim("C4")
    assert claim.verdict == "not reproduced"
    assert "PickScore" not in [part.name for part in claim.parts]


def test_one_seed_is_judged_by_its_own_interval_and_says_so(world: World) -> None:
    for variant in world.means:
        world.how[variant] = {"seeds": [0]}
    claim = world.claim("C3")
    assert claim.verdict == "reproduced"
    assert claim.estimate is not None
    assert "one seed" in claim.estimate.how


def test_different_protocols_are_not_compared(world: World) -> None:
    claim_file = world.root / "metrics" / "marval.json"
    assert world.claim("C3").verdict == "reproduced"
    rows = json.loads(claim_file.read_text())
    rows[0]["protocol"]["images_per_class"] = 50
    claim_file.write_text(json.dumps(rows))
    claim = evaluate(opened(world.project), Paper())[2]
    assert claim.verdict == "inconclusive"
    assert "images_per_class" in claim.why


def test_different_judges_are_not_compared(world: World) -> None:
    claim_file = world.root / "metrics" / "marval-rl.json"
    assert world.claim("C4").verdict == "reproduced"
    rows = json.loads(claim_file.read_text())
    claim_file.write_text(json.dumps([row | {"judge_sha256": "another"} for row in rows]))
    claim = evaluate(opened(world.project), Paper())[3]
    assert claim.verdict == "inconclusive"
    assert "different judges" in claim.why


def test_a_failed_calibration_decides_nothing_by_distance(world: World) -> None:
    row = {"check": "published FID", "expected": 3.94, "measured": 4.5, "tolerance": 0.05, "passed": False}
    made_up.write_json(world.root / "calibration.json", [row])
    claim = world.claim("C3")
    assert claim.verdict == "inconclusive"
    assert "published FID" in claim.why


def test_a_missing_interval_decides_nothing(world: World) -> None:
    world.claim("C3")
    for variant in ("marval", "teacher-100"):
        file = world.root / "metrics" / f"{variant}.json"
        rows = [row | {"ci_low": None, "ci_high": None, "values": []} for row in json.loads(file.read_text())]
        file.write_text(json.dumps(rows))
    claim = evaluate(opened(world.project), Paper())[2]
    assert claim.verdict == "inconclusive"
    assert "interval" in claim.why


def test_speed_is_compared_with_equal_ar_steps_only(world: World) -> None:
    for row in world.speed:
        row["ar_steps"] = 4 if row["variant"] == "marval" else 8
    assert world.claim("C2").verdict == "not attempted"


def test_other_regimes_stand_beside_the_claimed_one(world: World) -> None:
    claim = world.claim("C2")
    told = [line.split(":")[0] for line in claim.beside[1:]]
    assert told == ["batch 64, eager", "batch 1, optimised", "batch 64, optimised"]
    assert "in other regimes 27.76 (batch 1, optimised) to 29.74 (batch 64, eager)" in claim.why


@pytest.mark.parametrize(("device", "scope"), [("cuda", "full"), ("cpu", "proxy")])
def test_time_does_not_depend_on_weights_so_full_size_on_a_gpu_is_full_scope(
    world: World, device: str, scope: str
) -> None:
    world.speed = [row | {"model": "MAR-B", "device": device} for row in world.speed]
    assert world.claim("C2").scope == scope


def test_sizes_are_not_mixed_and_the_claim_is_about_b(world: World) -> None:
    huge = [
        row | {"model": "MAR-H", "seconds_per_image": row["seconds_per_image"] * 3} for row in world.speed
    ]
    world.speed = [row | {"model": "MAR-B"} for row in world.speed] + huge
    claim = world.claim("C2")
    assert claim.estimate is not None
    assert claim.estimate.value == pytest.approx(0.347 / 0.0102)
    assert any("MAR-H" in line for line in claim.beside)


@pytest.mark.slow
def test_claims_json_has_the_promised_fields_and_the_files_own_md5(reported: Path) -> None:
    rows = json.loads((reported / "claims.json").read_text())
    assert [row["id"] for row in rows] == ["C1", "C2", "C3", "C4", "C5"]
    promised = {
        "id",
        "claim",
        "source",
        "scope",
        "paper",
        "ours",
        "ci_low",
        "ci_high",
        "verdict",
        "evidence",
        "why",
    }
    for row in rows:
        assert promised <= set(row)
        assert row["evidence"]
        for entry in row["evidence"]:
            assert entry["md5"] == md5(reported.parents[1] / entry["file"])


def test_rows_have_no_nan(world: World) -> None:
    world.speed = []
    world.claim("C2")
    results = opened(world.project)
    json.dumps(as_rows(evaluate(results, Paper()), results), allow_nan=False)


def test_an_empty_folder_gives_five_claims_not_attempted(tmp_path: Path) -> None:
    (tmp_path / "results" / "nothing").mkdir(parents=True)
    results = Results.open("nothing", tmp_path / "results" / "nothing")
    claims = evaluate(results, Paper())
    assert len(claims) == 5
    assert {claim.verdict for claim in claims} == {Verdict.NOT_ATTEMPTED}
