"""Several processes, several pieces, lower precision, less memory: what is trained stays what one process trains."""

from pathlib import Path

import miniature
import pytest
import torch

from marval.batches import Share, shares
from marval.errors import UserError
from marval.processes import workers
from marval.training.seeding import seed_step
from marval.training.settings import Scale

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """Each method trained by one process in one piece."""
    folder = tmp_path_factory.mktemp("alone")
    return {
        name: miniature.train(miniature.build(name, Scale()), folder / name, Scale())
        for name in miniature.METHODS
    }


@pytest.fixture(scope="module")
def together(root, tmp_path_factory) -> Path:
    """What two connected CPU processes leave."""
    folder = tmp_path_factory.mktemp("together")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(root))
        workers.run([str(Path(miniature.__file__)), str(folder)], 2, folder)
    return folder


def assert_equal_to_rounding(rows, weights, expected):
    """Every figure of every step to 1e-4 of itself or 1e-5; weights to a tenth of what one step of Adam moves them.

    A hundredth of the weights is exempt: the gradient of a key's bias, for one, is rounding, which Adam makes as large as any.
    """
    for row, one in zip(rows, expected.rows, strict=True):
        assert row == pytest.approx(one, rel=1e-4, abs=1e-5)
    apart = (weights - expected.weights).abs() > 0.1 * miniature.OPTIMISER.lr
    assert apart.float().mean() < 0.01


@pytest.mark.slow
@pytest.mark.parametrize("name", miniature.METHODS)
def test_two_processes_train_as_one(together, alone, name):
    rows, weights = torch.load(together / f"{name}-0.pt")
    assert_equal_to_rounding(rows, weights, alone[name])
    other_rows, other_weights = torch.load(together / f"{name}-1.pt")
    assert torch.equal(weights, other_weights)
    assert rows == other_rows


@pytest.mark.parametrize("name", miniature.METHODS)
def test_pieces_train_as_the_whole(alone, tmp_path, name):
    """Three unequal pieces of 13 images."""
    scale = Scale(micro_batch=5)
    done = miniature.train(miniature.build(name, scale), tmp_path, scale)
    assert_equal_to_rounding(done.rows, done.weights, alone[name])


@pytest.mark.parametrize("name", miniature.METHODS)
def test_recomputed_activations_give_the_same_gradients(alone, tmp_path, name, monkeypatch):
    calls, plain = [], torch.utils.checkpoint.checkpoint
    for module in ("marval.models.transformer", "marval.methods.activation_checkpointing"):
        monkeypatch.setattr(f"{module}.checkpoint", lambda *a, **k: calls.append(a) or plain(*a, **k))
    scale = Scale(activation_checkpointing=True)
    done = miniature.train(miniature.build(name, scale), tmp_path, scale)
    assert calls
    assert_equal_to_rounding(done.rows, done.weights, alone[name])


def test_recomputation_repeats_the_dropout(tmp_path):
    trained = {}
    for checkpointing in (False, True):
        torch.manual_seed(0)
        scale = Scale(activation_checkpointing=checkpointing)
        method = miniature.teacher(scale, dropout=0.3)
        trained[checkpointing] = miniature.train(method, tmp_path / str(checkpointing), scale)
    assert_equal_to_rounding(trained[True].rows, trained[True].weights, trained[False])


@pytest.mark.parametrize("name", miniature.METHODS)
def test_bfloat16_is_near(alone, tmp_path, name):
    scale = Scale(precision="bf16")
    done = miniature.train(miniature.build(name, scale), tmp_path, scale, steps=1)
    losses = {k: v for k, v in done.rows[0].items() if k.startswith("loss")}
    expected = {k: v for k, v in alone[name].rows[0].items() if k.startswith("loss")}
    assert losses == pytest.approx(expected, rel=0.1, abs=0.02)
    assert losses != pytest.approx(expected, rel=1e-5)
    assert done.weights.dtype == torch.float32


@pytest.mark.slow
def test_two_processes_resume_exactly_with_dropout(together):
    for process in (0, 1):
        assert torch.load(together / f"summary-{process}.pt")["equal"]


@pytest.mark.slow
def test_rows_are_dealt_out_in_blocks_and_gathered_in_order(together):
    first, second = (torch.load(together / f"summary-{process}.pt") for process in (0, 1))
    assert first["shard"] == [0, 1, 2, 3]
    assert second["shard"] == [4, 5, 6, 7, 8, 9]
    assert first["gathered"] == second["gathered"] == list(range(10))


@pytest.mark.parametrize(("processes", "micro_batch"), [(1, None), (3, None), (1, 4), (2, 3), (4, 1)])
def test_shares_are_the_batch_however_it_is_dealt_out(processes, micro_batch):
    dealt = [shares(13, processes, p, micro_batch, CPU) for p in range(processes)]
    assert max(map(len, dealt)) == Scale(micro_batch=micro_batch).micro_batches(13, processes)
    mine = [share for part in dealt for share in part]
    assert sum(share.weight for share in mine) == pytest.approx(1)
    assert max(s.count for s in mine) <= (micro_batch or 13)
    assert max(s.count for s in mine) - min(s.count for s in mine) <= 1
    whole, parts = [], []
    for drawn, of in ((whole, [Share.whole(13)]), (parts, mine)):
        for share in of:
            seed_step(3, 5)
            drawn.append((share.rand(13, 2), share.randn(4, 13, axis=1).T, share.randint(0, 9, 13)))
    for one, cut in zip(whole[0], zip(*parts, strict=True), strict=True):
        assert torch.equal(one, torch.cat(cut))


def test_more_processes_than_images_are_refused():
    with pytest.raises(UserError, match=r"a batch of 5 cannot be dealt out to 6 processes"):
        shares(5, 6, 0, None, CPU)


def test_dropout_has_a_stream_for_each_piece(tmp_path):
    """Else all pieces and processes would drop the same features, or what is dropped would follow from the batch."""
    torch.manual_seed(0)
    method = miniature.distill(Scale())
    seen, plain = [], method.generate

    def generate(images, start):
        seen.append(torch.rand(()).item())
        return plain(images, start)

    method.generate = generate
    miniature.train(method, tmp_path, Scale(micro_batch=5), steps=1)
    assert seen[:3] * 2 == seen, (
        "a piece is computed alike for the auxiliary network and, with its graph, for the student"
    )
    assert len(set(seen)) == 3
    seed_step(1, 0)
    assert not {torch.rand(()).item() for _ in range(1000)} & set(seen)
