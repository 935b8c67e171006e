"""What docs/extending.md shows is applied to a copy of the repository, and what it adds is used there."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

BLOCK = re.compile(r'^```\w+ (new|add)=(\S+?)(?: after="([^\n]*)")?\n(.*?)^```$', re.M | re.S)
COPIED = ("console", "marval", "metrics", "reports", "workflow", "dvc.yaml", "params.yaml")
LONGEST = 150  # lines of a rival's module
USE = """
import json, subprocess, sys
from pathlib import Path
import numpy as np, torch
from marval.__main__ import main
from marval.data.images import open_training
from marval.data.sources import SOURCES
from marval.methods.settings import DistillVariant
from types import SimpleNamespace
from marval.objectives.registry import OBJECTIVES
from marval.objectives.settings import Distance
from marval.pipeline.graph import active_graph
from marval.pipeline.preset import load_preset
from metrics.judges.files import build
from metrics.judges.registry import MINIATURE
from metrics.set_metrics import METRICS
from importlib import import_module

found = {}
preset = load_preset("digits-soft")
found["preset"] = [preset.variants["marval-w11"].role.value, preset.reinforce.training.reward]
found["more"] = len(preset.variants) - len(load_preset("digits").variants)
found["metric"] = [m.title for m in METRICS if m.name == "feature_spread"]
settings = preset.judges.second_clip
judge = build("second_clip", settings, ["zero", "one"]).eval()
found["judge"] = [judge.metric, list(judge.score(torch.rand(2, 3, 32, 32), torch.tensor([0, 1])).shape)]
source = next(s for s in SOURCES if s.__name__ == "Stripes")(data="stripes")
Path("made").mkdir()
source.prepare(Path("made"), Path("made"), "stripes")
images = open_training(Path("made"), source)
found["source"] = [len(images), list(images.images(np.array([0])).shape)]
DistillVariant(guidance=1.2, objective="half")
auxiliary, teacher, noise = torch.randn(3, 5, 4)
scores = SimpleNamespace(auxiliary=auxiliary, teacher=teacher, noise=noise, weight=torch.ones(5, 1))
half, whole = (import_module(OBJECTIVES[name].module).terms(scores, Distance.PSEUDO_HUBER) for name in ("half", "gsim"))
found["objective"] = bool(torch.allclose(half["loss_l2"], whole["loss_l2"] / 2))
from marval.sampling.settings import SampleVariant
teacher = {"role": "rival", "model": "teacher", "sampler": "plain", "diffusion_steps": 4, "ar_steps": 8}
found["sampler"] = SampleVariant(**teacher).sampler
assert main(["activate", "digits"]) == 0 and main(["code"]) == 0
stage = active_graph().stages["palette@digits"]
found["stage"] = list(json.loads(stage.code.read_text()))
assert main(["settings", "digits"]) == 0 and main(["prepare", "digits"]) == 0 and main(["palette", "digits"]) == 0
found["palette"] = json.loads(Path("results/digits/palette.json").read_text())
from reports.claims import evaluate
from reports.paper import Paper
from reports.results import Results
claims = {c.id: str(c.verdict) for c in evaluate(Results.open("digits", Path("results/digits")), Paper())}
found["claim"] = claims["C9"]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def extended(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The copy, with all blocks applied."""
    folder = tmp_path_factory.mktemp("extended")
    for name in COPIED:
        source = root / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    for kind, path, after, content in BLOCK.findall((root / "docs/extending.md").read_text()):
        file = folder / path
        if kind == "new":
            assert not file.exists(), path
            file.write_text(content)
        else:
            lines = file.read_text().splitlines(keepends=True)
            (place,) = (i for i, line in enumerate(lines) if line.rstrip("\n") == after)
            file.write_text("".join([*lines[: place + 1], content, *lines[place + 1 :]]))
    return folder


@pytest.mark.parametrize(
    ("package", "registry"),
    [
        ("marval/objectives", "marval/objectives/registry.py"),
        ("marval/sampling/solvers", "marval/sampling/registry.py"),
    ],
)
def test_a_rival_is_one_module_and_one_line(root: Path, package: str, registry: str) -> None:
    """By what the page adds; and the modules that are there are no longer than they may be."""
    blocks = [
        (kind, path, content)
        for kind, path, _, content in BLOCK.findall((root / "docs/extending.md").read_text())
        if path.startswith(f"{package}/") or path == registry
    ]
    assert [(kind, path == registry) for kind, path, _ in blocks] == [("new", False), ("add", True)]
    assert len(blocks[1][2].splitlines()) == 1
    lengths = {path.name: len(path.read_text().splitlines()) for path in (root / package).glob("*.py")}
    assert {name for name, length in lengths.items() if length > LONGEST} == set()


def test_the_solver_of_the_page_is_ddim(root: Path) -> None:
    """As it says, run as the reference runs a solver."""
    import torch

    from marval.sampling.solvers import ddim
    from marval.sampling.solvers.levels import even_levels
    from marval.sampling.token_samplers import SolverChain

    (code,) = (
        c for _, path, _, c in BLOCK.findall((root / "docs/extending.md").read_text()) if "solvers/" in path
    )
    plain = ModuleType("plain")
    exec(code, plain.__dict__)
    start = torch.randn(3, 4, dtype=torch.float64)

    def head(x: torch.Tensor, t: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        return torch.cat([torch.tanh(x + z), x], dim=-1)

    ends = [
        SolverChain(solver, even_levels(5, 900))(head, start / 2, None, 1.0, start, start[None, :0])
        for solver in (plain, ddim)
    ]
    torch.testing.assert_close(ends[0], ends[1], rtol=1e-12, atol=0)


@pytest.mark.slow
@pytest.mark.long
def test_what_the_page_adds_works(extended: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", USE], cwd=extended, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["preset"] == ["guidance", "image_reward"]
    assert found["more"] == 1
    assert found["metric"] == ["Spread of the features"]
    assert found["judge"] == ["second_clip_score", [2]]
    assert found["source"] == [40, [1, 32, 32, 3]]
    assert found["objective"] is True
    assert found["sampler"] == "plain"
    assert found["stage"] == ["marval/artifacts.py", "marval/stages/palette.py"]
    assert len(found["palette"]) == 3
    assert found["claim"] == "not attempted"
