"""What people are told where there is no GPU or too little memory, and what is saved where memory or work is dear."""

import errno
import sys
from argparse import Namespace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from marval import __main__ as command_line
from marval.pipeline.graph import graph_of
from marval.pipeline.preset import load_preset
from marval.pipeline.run import _say_without_gpu
from marval.progress import Progress
from marval.sampling.batches import keep, missing
from marval.stages import sample
from marval.training import checkpoints
from marval.training.checkpoints import CheckpointStore

OUT_OF_MEMORY = "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.10 GiB"


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_stage_that_asks_for_gpus_and_sees_none_says_so(root, monkeypatch, capsys):
    monkeypatch.chdir(root)
    stages = graph_of("latency").stages | graph_of("digits").stages
    for address in ("latency@latency", "latency_report@latency", "speed@digits"):
        _say_without_gpu(stages[address])
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1
    assert told[0].startswith("latency@latency: its preset asks for 1 GPU and none is visible")


@pytest.mark.parametrize(
    ("stage", "setting"),
    [
        (
            "reinforce",
            "lower reinforce.training.scale.micro_batch in the preset big, or set activation_checkpointing",
        ),
        ("sample", "lower sample.batch in the preset big; finished work is kept"),
        ("showcase", "run it where more is free"),
    ],
)
def test_out_of_memory_names_the_setting_to_lower(stage, setting):
    error = torch.OutOfMemoryError(OUT_OF_MEMORY)
    message = command_line._message(error, Namespace(command=stage, preset="big"))
    assert message is not None
    assert "\n" not in message
    assert message.startswith(f"{stage}: out of memory (CUDA out of memory): ")
    assert setting in message


def test_a_host_without_memory_is_told_as_a_gpu_without_it():
    """torch's words for it, in an error of no kind of its own; and Linux's."""
    words = (
        "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried."
    )
    options = Namespace(command="sample", preset="big")
    for error in (RuntimeError(words), OSError(errno.ENOMEM, "Cannot allocate memory"), MemoryError()):
        message = command_line._message(error, options)
        assert message is not None
        assert message.startswith("sample: out of memory (")
        assert "alloc_cpu.cpp" not in message


def test_other_failures_keep_their_traceback():
    assert command_line._message(RuntimeError("shapes"), Namespace(command="sample", preset="big")) is None


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux what is mapped")
def test_a_checkpoint_is_mapped_and_not_read(tmp_path, monkeypatch):
    """Eight processes of one machine share what they map."""
    monkeypatch.setattr(checkpoints, "SAVE_SECONDS", 0.0)
    store, weight = CheckpointStore(tmp_path), torch.arange(5.0)
    store.save_if_due(lambda: {"step": 3, "weight": weight})
    state = store.load()
    assert state is not None
    assert torch.equal(state["weight"], weight)
    assert str(next(tmp_path.glob("state-*.pt"))) in Path("/proc/self/maps").read_text()
    state["weight"] += 1  # an optimizer on a CPU may go on with it
    again = store.load()
    assert again is not None
    assert torch.equal(again["weight"], weight)


def test_only_missing_batches_are_dealt_out(root, monkeypatch, tmp_path):
    monkeypatch.chdir(root)
    preset = load_preset("smoke")
    context = SimpleNamespace(preset=preset, checkpoints=tmp_path)
    batches = sample._batches(context, "marval")
    assert sample.parallelism(context, "marval") == len(batches) > 1
    progress = Progress("test", total=len(batches), unit="image", shown=False)
    keep(tmp_path, batches[:-1], lambda seed: lambda indices: np.zeros((len(indices), 1), np.uint8), progress)
    assert missing(tmp_path, batches) == batches[-1:]
    assert sample.parallelism(context, "marval") == 1
