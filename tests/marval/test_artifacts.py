"""Result files appear whole or not at all, and errors name the file."""

import errno
import shutil
from collections import namedtuple

import numpy as np
import pytest
import torch

from marval import artifacts
from marval.__main__ import main
from marval.errors import UserError


def test_equal_arrays_give_equal_bytes(tmp_path):
    arrays = {"arr_0": np.arange(12).reshape(3, 4), "arr_1": np.zeros(3)}
    for name in ("a", "b"):
        artifacts.write_npz(tmp_path / f"{name}.npz", **arrays)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert np.array_equal(artifacts.read_npz(tmp_path / "a.npz")["arr_0"], arrays["arr_0"])


def test_tensors_round_trip(tmp_path):
    tensors = {"w": torch.randn(3, 2), "n": torch.arange(4)}
    artifacts.write_tensors(tmp_path / "x.safetensors", tensors)
    back = artifacts.read_tensors(tmp_path / "x.safetensors")
    assert all(torch.equal(back[name], value) for name, value in tensors.items())


def test_csv_has_all_columns_and_leaves_absent_values_empty(tmp_path):
    artifacts.write_csv(tmp_path / "c.csv", [{"step": 0, "fd": 0.5}, {"step": 1, "loss": 2.0}])
    assert (tmp_path / "c.csv").read_text() == "step,fd,loss\n0,0.5,\n1,,2\n"


def test_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "x.json"
    artifacts.write_json(path, [1])
    with pytest.raises(TypeError):
        artifacts.write_json(path, object())
    assert artifacts.read_json(path) == [1]
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("name", "reader"),
    [
        ("x.json", artifacts.read_json),
        ("x.npz", artifacts.read_npz),
        ("x.safetensors", artifacts.read_tensors),
    ],
)
def test_missing_and_damaged_files_are_named(tmp_path, name, reader):
    path = tmp_path / name
    with pytest.raises(UserError, match="is missing"):
        reader(path)
    path.write_bytes(b"not what it should be")
    with pytest.raises(UserError) as caught:
        reader(path)
    assert str(path) in str(caught.value)
    assert "is damaged" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_full_disk_is_told_as_one_line(tmp_path, monkeypatch, capsys, root):
    """A library fails in words of its own while the disk has no room: the message is about the disk."""
    usage = namedtuple("usage", "total used free")
    shutil.copytree(root / "workflow", tmp_path / "workflow")
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(root / name, tmp_path / name)
    for package in ("marval", "metrics", "reports"):
        (tmp_path / package).symlink_to(root / package)
    monkeypatch.chdir(tmp_path)
    assert main(["activate", "digits"]) == 0
    assert main(["settings", "digits"]) == 0
    assert main(["code"]) == 0

    def fail(*_, **__):
        raise RuntimeError("unexpected pos 64 vs 0")

    monkeypatch.setattr(artifacts.np, "savez_compressed", fail)
    monkeypatch.setattr(artifacts.shutil, "disk_usage", lambda _: usage(100, 100, 0))
    monkeypatch.setattr("torch.set_num_threads", lambda _: None)
    assert main(["prepare", "digits"]) != 0
    message = capsys.readouterr().err
    assert message.startswith("marval: error: results/digits/data/test.npz: the disk is full")
    assert len(message.splitlines()) == 1
    # what was whole before stays, and nothing of the file that failed
    assert [path.name for path in (tmp_path / "results/digits/data").iterdir()] == ["train.parquet"]


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ENOSPC])
def test_other_errors_of_the_file_system_are_one_line_too(tmp_path, monkeypatch, capsys, root, number):
    monkeypatch.chdir(root)

    def fail():
        raise OSError(number, "reason", "results/digits")

    monkeypatch.setattr("marval.pipeline.items.refresh", fail)
    assert main(["runs"]) == 2
    message = capsys.readouterr().err
    assert message.startswith("marval: error: results/digits: ")
    assert len(message.splitlines()) == 1
