"""Findings beyond the paper, what kind of method a variant is, and the frontier of all of them, from made-up results."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import made_up
import pytest

from reports.claims import Claim, Verdict, find
from reports.figures.frontiers import every_method_in_batches, every_method_singly
from reports.figures.style import style
from reports.methods import Family, family, frontier
from reports.paper import Paper
from reports.provenance import Provenance
from reports.results import Results
from reports.tables import all_tables

REGIMES = ((1, "eager"), (64, "optimised"))
# variant: settings beside those of a rival, its model, {metric: mean}, seconds at batch 1, eager
RIVALS: dict[str, tuple[dict[str, Any], str, dict[str, float], float]] = {
    "unipc-4": (
        {"sampler": "unipc", "diffusion_steps": 4, "guidance": 2.0},
        "teacher",
        {"frechet_distance": 0.92, "within_class_variance": 5.0},
        0.030,
    ),
    "ddim-1": (
        {"sampler": "ddim", "diffusion_steps": 1, "guidance": 2.0},
        "teacher",
        {"frechet_distance": 2.4, "within_class_variance": 0.8},
        0.0103,
    ),
    "sim": ({}, "sim", {"frechet_distance": 1.3, "within_class_variance": 5.0}, 0.0102),
    "best-of-2": (
        {"best_of": 2, "ar_steps": 4},
        "marval",
        {"frechet_distance": 1.1, "within_class_variance": 4.1, "clip_score": 54.6, "image_reward": 0.45},
        0.0104,
    ),
}


class World:
    """A small project with rivals, to bend."""

    def __init__(self, project: Path) -> None:
        self.project, self.root = project, project / "results/made-up"
        self.root.mkdir(parents=True)
        self.settings = made_up.settings()
        self.settings["distill"]["variants"]["sim"] = {"guidance": 1.2, "objective": "sim"}
        self.means = {variant: dict(means) for variant, means in made_up.MEANS.items()}
        self.seconds = {"teacher-100": 0.35, "teacher-4": 0.021, "marval": 0.0102, "marval-rl": 0.0102}
        for name, (changes, model, means, seconds) in RIVALS.items():
            plain = {"role": "rival", "model": model, "diffusion_steps": 1, "guidance": 1.0, "ar_steps": 8}
            common = {"order": "random", "seeds": made_up.SEEDS}
            self.settings["variants"][name] = {**plain, **common, **changes}
            self.means[name], self.seconds[name] = dict(means), seconds

    def results(self) -> Results:
        for variant, means in self.means.items():
            made_up.write_metrics(self.root, variant, means)
        variants = self.settings["variants"]
        rows = [
            made_up.speed_row(v, batch, mode, s / batch, variants[v]["diffusion_steps"])
            for v, s in self.seconds.items()
            for batch, mode in REGIMES
        ]
        made_up.write_json(self.root / "speed.json", rows)
        made_up.write_json(self.root / "settings.json", self.settings)
        return made_up.opened(self.project)

    def finding(self, id: str) -> Claim:
        return next(f for f in find(self.results(), Paper()) if f.id == id)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def verdicts(claim: Claim) -> dict[str, str]:
    return {part.name: str(part.verdict) for part in claim.parts}


def test_methods_are_told_apart_by_their_settings(world: World) -> None:
    results = world.results()
    assert {
        name: family(results, name)
        for name in ["teacher-8", "teacher-raster", "marval-w2", "marval-rl", *RIVALS]
    } == {
        "teacher-8": Family.TEACHER,
        "teacher-raster": Family.TEACHER,
        "marval-w2": Family.STUDENT,
        "marval-rl": Family.REINFORCED,
        "unipc-4": Family.TRAINING_FREE,
        "ddim-1": Family.TRAINING_FREE,
        "sim": Family.OBJECTIVE,
        "best-of-2": Family.BEST,
    }


def test_the_fastest_rival_of_the_students_quality_sets_the_factor(world: World) -> None:
    """teacher-4 is faster than unipc-4 and ddim-1 faster still, but both are clearly worse."""
    found = world.finding("F1")
    assert found.verdict is Verdict.REPRODUCED
    assert found.estimate is not None
    assert found.estimate.value == pytest.approx(0.030 / 0.0102)
    assert "unipc-4" in found.why
    assert verdicts(found) == {"batch 1, eager": "reproduced", "batch 64, optimised": "reproduced"}


def test_a_rival_as_good_and_as_fast_refutes_both(world: World) -> None:
    world.seconds["unipc-4"] = 0.008
    assert world.finding("F1").verdict is Verdict.NOT_REPRODUCED
    refuted = world.finding("F2")
    assert refuted.verdict is Verdict.NOT_REPRODUCED
    assert "unipc-4" in refuted.why


def test_doubt_about_a_rival_is_not_to_the_students_favour(world: World) -> None:
    """At the bound itself teacher-4 is neither as good nor clearly worse: it sets the factor, and says so."""
    world.means["teacher-4"] |= {"frechet_distance": 0.9 * 1.18, "within_class_variance": 5.1}
    found = world.finding("F1")
    assert found.estimate is not None
    assert found.estimate.value == pytest.approx(0.021 / 0.0102)
    assert "not shown to be worse, teacher-4" in found.why


def test_a_rival_of_doubtful_quality_refutes_nothing(world: World) -> None:
    """However fast it is."""
    world.means["teacher-4"] |= {"frechet_distance": 0.9 * 1.18, "within_class_variance": 5.1}
    world.seconds["teacher-4"] = 0.005
    assert world.finding("F1").verdict is Verdict.INCONCLUSIVE
    assert world.finding("F2").verdict is Verdict.INCONCLUSIVE


def test_rivals_are_compared_over_all_students_of_their_teacher(world: World) -> None:
    """The teacher has one seed, the students three: that they differ is part of the interval."""
    world.settings["teacher_seeds"] = [0, 0, 0]
    results = world.results()
    for name in ("teacher-100", "teacher-4", "unipc-4", "ddim-1"):
        made_up.write_metrics(world.root, name, world.means[name], seeds=[0])
    results = Results.open("made-up", results.root)
    found = next(f for f in find(results, Paper()) if f.id == "F2")
    assert found.estimate is not None
    assert "3 distillations of 1 given teacher" in found.estimate.how
    assert len(found.estimate.values) == 3


def test_without_a_good_rival_nothing_is_decided(world: World) -> None:
    for name in world.means:
        if name.startswith(("teacher", "unipc")):
            world.means[name]["frechet_distance"] = 5.0
    assert world.finding("F1").verdict is Verdict.NOT_ATTEMPTED


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        (lambda world: None, Verdict.REPRODUCED),  # ddim-1 is as fast and clearly worse
        (lambda world: world.seconds.update({"ddim-1": 1.0}), Verdict.REPRODUCED),  # none is as fast
        (
            lambda world: world.means["ddim-1"].update(
                {"frechet_distance": 0.9 * 1.18, "within_class_variance": 5.1}
            ),
            Verdict.INCONCLUSIVE,
        ),
    ],
)
def test_no_rival_is_as_good_in_the_students_time(
    world: World, change: Callable[[World], None], verdict: Verdict
) -> None:
    change(world)
    assert world.finding("F2").verdict is verdict


def test_each_objective_is_a_part(world: World) -> None:
    found = world.finding("F3")
    assert verdicts(found) == {"against sim": "reproduced"}
    world.means["sim"]["frechet_distance"] = 0.6
    assert world.finding("F3").verdict is Verdict.NOT_REPRODUCED
    world.means["sim"]["frechet_distance"] = 0.9
    assert world.finding("F3").verdict is Verdict.INCONCLUSIVE


def test_an_objective_that_is_sampled_otherwise_is_no_rival_of_the_objective(world: World) -> None:
    world.settings["variants"]["sim"]["ar_steps"] = 4
    assert world.finding("F3").verdict is Verdict.NOT_ATTEMPTED


def test_reward_fine_tuning_against_best_of_n(world: World) -> None:
    found = world.finding("F5")
    assert found.verdict is Verdict.REPRODUCED
    assert list(verdicts(found)) == [
        "CLIP score above best-of-2", "ImageReward above best-of-2", "as diverse as best-of-2",
    ]  # fmt: skip
    world.means["best-of-2"]["within_class_variance"] = 6.0
    assert world.finding("F5").verdict is Verdict.NOT_REPRODUCED
    world.seconds["best-of-2"] = 0.02
    assert world.finding("F5").verdict is Verdict.NOT_ATTEMPTED  # none takes as little time


def test_the_training_reward_is_no_judge_of_best_of_n(world: World) -> None:
    results = world.results()
    path = world.root / "metrics/marval-rl.json"
    rows = json.loads(path.read_text())
    for row in rows:
        if row["metric"] == "image_reward":
            row["protocol"]["role"] = "training reward"
    path.write_text(json.dumps(rows))
    results = Results.open("made-up", results.root)
    found = next(f for f in find(results, Paper()) if f.id == "F5")
    assert list(verdicts(found)) == ["CLIP score above best-of-2", "as diverse as best-of-2"]


def test_presets_without_rivals_decide_nothing_about_them(project: Path) -> None:
    found = {claim.id: claim.verdict for claim in find(made_up.opened(project), Paper())}
    assert {found[id] for id in ("F1", "F2", "F3", "F5")} == {Verdict.NOT_ATTEMPTED}


@pytest.mark.parametrize(("middle", "decided"), [(2.6, True), (1.5, False)])
def test_a_straight_line_between_distant_students_decides_nothing(
    world: World, middle: float, decided: bool
) -> None:
    """The fine-tuned model has a variance of 3: between 3.4 and 2.6, or between 3.4 and 2.0, where the bent frontier is far."""
    variances = {"marval-w1": 6.0, "marval-w4": 3.4, "marval-w2": middle, "marval": 2.0, "marval-rl": 3.0}
    for name, variance in variances.items():
        score = 40.0 if name == "marval-rl" else 30 - variance
        world.means[name] |= {
            "within_class_variance": variance,
            "clip_score": score,
            "image_reward": score,
        }
    found = world.finding("F4")
    assert [part.verdict is Verdict.REPRODUCED for part in found.parts] == [decided] * 2
    assert ("too far for a straight line" in found.parts[0].why) is not decided


def test_the_frontier_has_what_nothing_beats_in_both(world: World) -> None:
    results = world.results()
    assert frontier(results, "frechet_distance", 1, "eager") == ["marval", "teacher-100"]
    world.seconds["ddim-1"] = 0.002
    assert frontier(world.results(), "frechet_distance", 1, "eager") == ["ddim-1", "marval", "teacher-100"]


def test_every_variant_is_in_the_figure_and_in_the_table(world: World) -> None:
    """Of any role, at its own time or at that of one which runs the same steps; real images are no method."""
    results = world.results()
    with style():
        drawings = [draw(results, Paper()) for draw in (every_method_singly, every_method_in_batches)]
    table = all_tables(results, Paper(), Provenance(results))["methods"].frame
    listed = set(table["variant"])
    assert listed == set(world.settings["variants"])
    alike = {"marval-w2", "marval-w4", "marval-w1", "marval-no-l2"}  # timed as the student
    for drawn, regime in zip(drawings, ("batch 1, eager", "batch 64, optimised"), strict=True):
        assert drawn is not None
        for name in {*world.seconds, *alike}:
            assert f"{name} at " in drawn.description, name
        assert f"{regime}: frontier marval, teacher-100" in drawn.description
    best = table.set_index("variant")["Pareto"]
    assert best["marval"] == "batch 1, eager; batch 64, optimised"
    assert best["sim"] == ""


def test_findings_are_on_the_page_and_in_a_file(world: World) -> None:
    from reports.build import build

    build(world.results())
    rows = json.loads((world.root / "findings.json").read_text())
    assert [row["id"] for row in rows] == ["F1", "F2", "F3", "F4", "F5"]
    page = (world.root / "report.html").read_text()
    assert 'id="beyond"' in page
    assert 'id="claim-F3"' in page
    assert "LazyMAR-H" in page


def test_published_figures_of_rivals_stand_in_their_own_table_alone(world: World) -> None:
    """Other figures change that table, and no other table, verdict or number."""
    results, papers = world.results(), (Paper(), Paper())
    for row in papers[1].content["rivals"]["rows"]:
        row |= {"fid": 0.01, "inception_score": 999.0, "speedup": "1000"}
    first, second = (all_tables(results, paper, Provenance(results)) for paper in papers)
    changed = {name for name in first if not first[name].frame.equals(second[name].frame)}
    assert changed == {"rivals"}
    assert find(results, papers[0]) == find(results, papers[1])


def test_published_figures_of_rivals_have_their_sources() -> None:
    content = Paper().content
    assert all(row["source"] for row in content["rivals"]["rows"])
    for finding in content["findings"]:
        assert all(entry["reason"].strip() for entry in finding["tolerances"].values())
    ids = [finding["id"] for finding in content["findings"]]
    assert len(ids) == len(set(ids))
