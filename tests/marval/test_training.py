"""The loop: resuming is exact, divergence stops it with a message, rates warm up, averages follow."""

import copy
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import miniature
import pytest
import torch
from torch import nn

from marval.errors import UserError
from marval.training import checkpoints
from marval.training.checkpoints import CheckpointStore
from marval.training.loop import Update, fit
from marval.training.optimisation import averaged, build_optimiser, decay_groups, rate_factor
from marval.training.settings import OptimiserConfig, Scale


class Regression:
    """A small real method: linear regression with dropout, so that randomness inside the loss matters too."""

    def __init__(self, poison_at: int | None = None, poison: float = 1.0) -> None:
        torch.manual_seed(7)
        self.model = nn.Sequential(nn.Linear(5, 8), nn.Dropout(0.3), nn.Linear(8, 1))
        self.truth = torch.randn(5, 1)
        self.ema = {"model": (averaged(self.model, 0.9), self.model)}
        config = OptimiserConfig(lr=0.05, weight_decay=0.01, warmup_steps=4, clip=1.0)
        optimiser = build_optimiser(self.model, config)
        self.updates = [Update("model", self.model, optimiser, self.loss, config)]
        self.batch, self.poison_at, self.poison, self.drawn = 32, poison_at, poison, 0

    def draw(self, share):
        self.drawn += 1
        return share.randn(share.total, 5)

    def loss(self, x):
        error = (self.model(x) - x @ self.truth).square().mean(dim=1)
        return {"loss": error * self.poison if self.drawn - 1 == self.poison_at else error}


def weights(method):
    return torch.cat(
        [p.flatten() for p in [*method.model.parameters(), *method.ema["model"][0].module.parameters()]]
    )


@pytest.mark.slow
def test_loss_falls(tmp_path):
    rows = fit(Regression(), 200, seed=0, store=CheckpointStore(tmp_path), label="test", log_every=10)
    assert [row["step"] for row in rows] == list(range(10, 201, 10))
    assert rows[-1]["loss"] < 0.5 * rows[0]["loss"]
    assert rows[-1]["ema_distance_model"] > 0


@pytest.mark.slow
def test_resumed_run_equals_an_uninterrupted_one(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "SAVE_SECONDS", 0.0)
    whole = Regression()
    expected = fit(whole, 60, seed=3, store=CheckpointStore(tmp_path / "a"), label="test", log_every=5)
    first = Regression()
    fit(first, 25, seed=3, store=CheckpointStore(tmp_path / "b"), label="test", log_every=5)
    second = Regression()
    rows = fit(second, 60, seed=3, store=CheckpointStore(tmp_path / "b"), label="test", log_every=5)
    assert torch.equal(weights(second), weights(whole))
    assert rows == expected


def test_another_seed_gives_another_run(tmp_path):
    one, two = Regression(), Regression()
    fit(one, 5, seed=0, store=CheckpointStore(tmp_path / "a"), label="test", log_every=5)
    fit(two, 5, seed=1, store=CheckpointStore(tmp_path / "b"), label="test", log_every=5)
    assert not torch.equal(weights(one), weights(two))


@pytest.mark.parametrize(("poison", "word"), [(float("nan"), "nan"), (1e9, "e+")])
def test_divergence_stops_with_the_last_good_state(tmp_path, monkeypatch, poison, word):
    monkeypatch.setattr(checkpoints, "SAVE_SECONDS", 0.0)
    store = CheckpointStore(tmp_path)
    with pytest.raises(UserError) as caught:
        fit(Regression(33, poison), 60, seed=0, store=store, label="teacher@digits-0", log_every=5)
    message = str(caught.value)
    assert "\n" not in message
    for part in ("teacher@digits-0", "loss is ", word, "at step 35", str(store.folder)):
        assert part in message
    state = store.load()
    assert state is not None
    assert state["step"] == 30
    assert all(torch.isfinite(v).all() for v in state["updates"]["model"]["module"].values())


def damage(path: Path) -> None:
    """One bit of a weight, which a file of torch's does not notice."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damaged", [1, 2])
def test_damaged_checkpoints_are_set_aside_and_those_before_them_taken(
    tmp_path, monkeypatch, capsys, damaged
):
    monkeypatch.setattr(checkpoints, "SAVE_SECONDS", 0.0)
    fit(Regression(), 20, seed=0, store=CheckpointStore(tmp_path), label="test", log_every=5)
    kept = sorted(tmp_path.iterdir())
    assert len(kept) == 2
    for path in kept[-damaged:]:
        damage(path)
    state = CheckpointStore(tmp_path).load()
    assert (state["step"] if state else None) == {1: 15, 2: None}[damaged]
    named = capsys.readouterr().err
    for path in kept[-damaged:]:
        assert f"{path} is damaged: set aside as {path.name}.damaged" in named
        assert path.with_name(f"{path.name}.damaged").is_file()
        assert not path.exists()
    method, fresh = Regression(), Regression()
    fit(method, 20, seed=0, store=CheckpointStore(tmp_path), label="test", log_every=5)
    fit(fresh, 20, seed=0, store=CheckpointStore(tmp_path / "fresh"), label="test", log_every=5)
    assert torch.equal(weights(method), weights(fresh))


def test_warm_up_is_linear_then_constant():
    config = OptimiserConfig(lr=1.0, clip=1.0, warmup_steps=4)
    assert [rate_factor(step, 10, config) for step in range(6)] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    assert rate_factor(0, 10, config.model_copy(update={"warmup_steps": 0})) == 1.0
    falling = config.model_copy(update={"falling": True, "warmup_steps": 2})
    assert [rate_factor(step, 4, falling) for step in range(5)] == [0.5, 0.75, 0.5, 0.25, 0.0]


def test_decay_spares_biases_norms_and_the_head(tiny_mar):
    plain, decayed = (
        {id(p) for p in group["params"]} for group in decay_groups(tiny_mar, 0.02, exempt=[tiny_mar.head])
    )
    for name, parameter in tiny_mar.named_parameters():
        spared = (
            name.endswith("bias")
            or ".norm" in name
            or "_norm" in name
            or "_ln" in name
            or name.startswith("head.")
        )
        assert (id(parameter) in plain) == spared, name
        assert (id(parameter) in decayed) != spared, name


def test_average_is_exponential():
    module = nn.Linear(1, 1, bias=False)
    average = averaged(module, 0.9)
    values = []
    for value in (1.0, 2.0, 3.0):
        with torch.no_grad():
            module.weight.fill_(value)
        average.update_parameters(module)
        values.append(copy.deepcopy(average.module.weight.item()))
    assert values == pytest.approx([1.0, 1.1, 1.29])  # the first update copies


class Watched:
    """An array that notes which of its reads the main thread waits for."""

    def __init__(self, rows) -> None:
        self.rows, self.shape, self.waited = rows, rows.shape, []

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index):
        self.waited.append(threading.current_thread() is threading.main_thread())
        return self.rows[index]


@pytest.mark.parametrize("name", ["teacher", "distill"])
def test_latents_of_the_next_step_are_read_ahead(tmp_path, name):
    def trained(folder, ahead):
        method = miniature.build(name, Scale(micro_batch=7))
        array = Watched(method.data.shards[0])
        method.data = replace(method.data, shards=[array])
        parts = {part: getattr(method, part) for part in ("batch", "updates", "ema", "draw")}
        trainee = method if ahead else SimpleNamespace(**parts)
        fit(trainee, 3, 0, CheckpointStore(tmp_path / folder), name, log_every=3, scale=Scale(micro_batch=7))
        return array.waited, torch.cat([p.flatten() for p in method.updates[-1].module.parameters()])

    waited, weights = trained("ahead", ahead=True)
    assert sum(waited) == 2  # both pieces of the first step
    assert len(waited) == 3 * 2  # and no row is read twice, or in vain
    alone, same = trained("alone", ahead=False)
    assert alone == [True] * 6
    assert torch.equal(weights, same)
