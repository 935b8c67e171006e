"""`make check-gpu` in its reduced form: it goes through everything on a CPU, with few packages, and notices what is wrong."""

import json
import subprocess
import sys

import pytest
import torch

from benchmarks import check_gpu
from marval.sampling.optimised import OptimisedSampler

# what a machine with a GPU need not have
ABSENT = (
    "diffusers",
    "pyarrow",
    "scipy",
    "accelerate",
    "dvc",
    "snakemake",
    "torchvision",
    "matplotlib",
    "PIL",
)
WITHOUT = f"""
import sys
sys.modules.update(dict.fromkeys({ABSENT}))
from benchmarks.check_gpu import main
sys.exit(main(["--reduced", "--out", sys.argv[1]]))
"""


@pytest.mark.slow
@pytest.mark.long
def test_reduced_form_needs_few_packages_and_finds_nothing_wrong(root, tmp_path):
    out = tmp_path / "gpu.json"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", WITHOUT, str(out)],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    rows = {row["check"]: row for row in json.loads(out.read_text())}
    assert done.returncode == 0, done.stdout
    assert rows["all"]["right"] is True
    for kind in ("teacher", "distill", "reinforce"):
        assert rows[f"training step: {kind}"]["right"] is True
    assert rows["kernels of an image: student"]["replays"] == 3
    assert rows["seconds: teacher, batch 3"]["ms_per_image"] > 0


def test_graphs_that_replay_something_else_are_wrong(monkeypatch, tmp_path, capsys):
    """As they would where a graph kept hold of the first batch's tensors."""
    honest, calls = OptimisedSampler.__call__, []

    def stale(self, labels, draws):
        calls.append(draws)
        return honest(self, labels, calls[0])

    monkeypatch.setattr(OptimisedSampler, "__call__", stale)
    name, config = next(iter(check_gpu.REDUCED.models.items()))
    inner, guidance = check_gpu.samplers(check_gpu.REDUCED, torch.device("cpu"))["student"]
    table = check_gpu.Table()
    table.run(name, lambda: check_gpu.equal(config, inner, guidance, torch.float32, torch.device("cpu")))
    assert table.rows[0]["right"] is False
    assert "graphs differ from eager" in table.rows[0]["error"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_whole_form_says_that_it_needs_a_gpu(capsys):
    assert check_gpu.main([]) == 2
    assert "no GPU that torch can use" in capsys.readouterr().err
