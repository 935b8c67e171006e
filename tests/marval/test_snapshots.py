"""A model's weights at a few moments of its training: which moments, after an interruption too, and how they are handed over."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from marval.artifacts import read_tensors
from marval.errors import UserError
from marval.training import checkpoints
from marval.training.checkpoints import CheckpointStore
from marval.training.loop import Update, fit
from marval.training.optimisation import averaged, build_optimiser
from marval.training.settings import OptimiserConfig
from marval.training.snapshots import Snapshots, snapshot_files, snapshot_steps


@pytest.mark.parametrize(
    ("steps", "parts", "log_every", "expected"),
    [
        (100, 4, 10, {0, 20, 50, 80}),  # 25 and 75 are between rows: to the even one
        (400, 4, 10, {0, 100, 200, 300}),
        (5, 5, 1, {0, 1, 2, 3, 4}),
        (2, 2, 1, {0, 1}),
        (2, 5, 1, {0, 1}),  # more parts than steps: some coincide
        (30, 1, 10, {0}),
    ],
)
def test_a_snapshot_at_the_beginning_of_each_part(steps, parts, log_every, expected):
    assert snapshot_steps(steps, parts, log_every) == expected


@given(st.integers(1, 50), st.integers(1, 30), st.integers(1, 20))
def test_moments_are_rows_of_the_curve_and_evenly_spread(rows, parts, log_every):
    steps = rows * log_every
    moments = sorted(snapshot_steps(steps, parts, log_every))
    assert moments[0] == 0
    assert moments[-1] < steps
    assert len(moments) <= parts
    assert all(moment % log_every == 0 for moment in moments)
    assert all(abs(b - a - steps / parts) <= log_every for a, b in pairwise(moments)) or parts > rows


class Regression:
    """Linear regression; its average is what snapshots are taken of."""

    batch = 16

    def __init__(self) -> None:
        torch.manual_seed(7)
        self.model = nn.Linear(3, 1)
        self.ema = {"model": (averaged(self.model, 0.5), self.model)}
        config = OptimiserConfig(lr=0.05, clip=1.0)
        optimiser = build_optimiser(self.model, config)
        self.updates = [Update("model", self.model, optimiser, self.loss, config)]

    @property
    def average(self) -> nn.Module:
        return self.ema["model"][0].module

    def draw(self, share):
        return share.randn(share.total, 3)

    def loss(self, x):
        return {"loss": (self.model(x) - x.sum(dim=1, keepdim=True)).square().mean(dim=1)}


STEPS, LOG_EVERY, MOMENTS = 40, 5, {0, 10, 20, 30}


def train(folder, steps=STEPS) -> tuple[Regression, Snapshots]:
    method = Regression()
    snapshots = Snapshots(folder, method.average, MOMENTS)
    store = CheckpointStore(folder)
    fit(method, steps, seed=0, store=store, label="test", log_every=LOG_EVERY, observe=snapshots.observe)
    return method, snapshots


def test_snapshots_are_the_weights_of_their_moment(tmp_path):
    train(tmp_path / "whole")
    found = snapshot_files(tmp_path / "whole/snapshots")
    assert list(found) == sorted(MOMENTS)
    for step, path in found.items():
        short = train(tmp_path / f"until-{step}", step)[0] if step else Regression()
        expected = short.average.state_dict()
        assert all(torch.equal(value, expected[name]) for name, value in read_tensors(path).items())


def test_a_resumed_training_has_those_from_before(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "SAVE_SECONDS", 0.0)
    train(tmp_path / "whole")
    train(tmp_path / "parts", 25)
    before = {path: path.stat().st_mtime_ns for path in snapshot_files(tmp_path / "parts/snapshots").values()}
    assert len(before) == 3
    train(tmp_path / "parts")
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())  # not taken again
    whole, parts = (snapshot_files(tmp_path / name / "snapshots") for name in ("whole", "parts"))
    assert parts.keys() == whole.keys() == MOMENTS
    assert all(parts[step].read_bytes() == whole[step].read_bytes() for step in MOMENTS)


def test_steps_come_in_order(tmp_path):
    snapshots = Snapshots(tmp_path, nn.Linear(1, 1), {9, 10, 100, 500_000})
    for step in (500_000, 100, 10, 9, 8):
        snapshots.observe(step)
    assert list(snapshot_files(tmp_path / "snapshots")) == [9, 10, 100, 500_000]
    assert snapshot_files(tmp_path / "nothing") == {}


def taken(folder) -> Snapshots:
    snapshots = Snapshots(folder, nn.Linear(1, 1), {0, 5})
    for step in (0, 5):
        snapshots.observe(step)
    return snapshots


def test_published_snapshots_replace_older_ones_whole(tmp_path):
    results = tmp_path / "results/snapshots/marval-s0"
    taken(tmp_path / "run").publish(results)
    assert list(snapshot_files(results)) == [0, 5]
    (results / "step-00000007.safetensors").write_text("of a longer training")
    snapshots = taken(tmp_path / "run")
    snapshots.publish(results)
    assert list(snapshot_files(results)) == [0, 5]
    assert list(snapshot_files(snapshots.folder)) == [0, 5]  # kept until the stage has done all
    assert [path.name for path in results.parent.iterdir()] == ["marval-s0"]


def test_a_damaged_snapshot_is_not_published(tmp_path):
    snapshots = taken(tmp_path / "run")
    path = snapshot_files(snapshots.folder)[5]
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(UserError, match=rf"step-00000005\.safetensors is damaged: `rm -r {tmp_path}/run`"):
        snapshots.publish(tmp_path / "results/snapshots/marval-s0")
    assert not (tmp_path / "results/snapshots/marval-s0").exists()


def test_a_failed_publication_leaves_what_was_there(tmp_path):
    results = tmp_path / "results/snapshots/marval-s0"
    snapshots = taken(tmp_path / "run")
    snapshots.publish(results)
    before = {path.name: path.read_bytes() for path in results.iterdir()}
    taken(tmp_path / "run")
    (snapshots.folder / "notes").symlink_to("gone")  # cannot be copied
    with pytest.raises(OSError, match="notes"):
        snapshots.publish(results)
    assert {path.name: path.read_bytes() for path in results.iterdir()} == before
    assert [path.name for path in results.parent.iterdir()] == ["marval-s0"]
