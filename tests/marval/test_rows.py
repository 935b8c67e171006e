"""The kernels between matrix products: the numbers of torch's own operations, in Triton's interpreter; how many are launched."""

import logging
import os
import subprocess
import sys
from importlib.util import find_spec

import pytest
import torch

from marval.costs.kernels import image_launches
from marval.models.settings import MARConfig
from marval.noise.schedule import NoiseSchedule
from marval.sampling import rows
from marval.sampling.rows import FusedRows, Rows, rows_for
from marval.sampling.token_samplers import DiffusionChain, OneStep

needs_triton = pytest.mark.skipif(find_spec("triton") is None, reason="needs Triton")
BLOCKS = 6  # of the head, as MAR-B's
# three encoder and two decoder blocks; widths do not change how many kernels there are
MODEL = MARConfig(
    side=4, channels=4, classes=10, width=16, encoder_blocks=3, decoder_blocks=2, heads=2, buffer_tokens=2,
    head={"width": 24, "blocks": BLOCKS},
)  # fmt: skip
INTERPRETED = """
import torch
from marval.masking.settings import OrderLaw
from marval.models.mar import MAR
from marval.models.settings import MARConfig
from marval.noise.schedule import NoiseSchedule
from marval.sampling.draws import draw_images
from marval.sampling.optimised import OptimisedSampler
from marval.sampling.rows import FusedRows, difference
from marval.sampling.token_samplers import DiffusionChain, OneStep

torch.manual_seed(0)
config = MARConfig(
    side=3, channels=2, classes=4, width=24, encoder_blocks=2, decoder_blocks=2, heads=2, buffer_tokens=2,
    head={"width": 20, "blocks": 2},
)
model = MAR(config).eval().requires_grad_(False)
for parameter in model.parameters():
    parameter.add_(0.1 * torch.randn_like(parameter))
print(difference(torch.device("cpu")))
labels, draws = torch.tensor([1, 3]), draw_images(0, range(2), 3, 2, 3, OrderLaw.RANDOM)
for sampler, guidance in ((OneStep.at(900), 1.0), (DiffusionChain(NoiseSchedule.respaced(3, 999)), 2.0)):
    plain = OptimisedSampler(model, sampler, 3, guidance)(labels, draws)
    for dtype in (torch.float32, torch.bfloat16):
        fused = OptimisedSampler(model, sampler, 3, guidance, dtype, FusedRows())(labels, draws)
        own = OptimisedSampler(model, sampler, 3, guidance, dtype)(labels, draws)
        print(*(((x - plain).norm() / plain.norm()).item() for x in (fused, own)))
"""


@pytest.mark.slow
@needs_triton
def test_images_by_fused_kernels_are_those_by_torchs_own_operations(root):
    """The very kernels, on a CPU, with rows of 20 and 24 numbers, which leave a part of each program idle."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", INTERPRETED],
        cwd=root,
        env={**os.environ, "TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    apart, *pairs = ([float(number) for number in line.split()] for line in done.stdout.strip().splitlines())
    assert apart[0] < rows.TOLERANCE
    for single, half in zip(pairs[::2], pairs[1::2], strict=True):
        assert single[0] < 1e-5
        # in bfloat16 they lose no more than torch's own, which round more often
        assert 0 < half[0] < 1.5 * half[1] + 1e-3


@pytest.mark.slow
@needs_triton
@pytest.mark.parametrize("capability", [80, 90])
def test_kernels_compile_for_a_gpu_where_there_is_none(capability, tmp_path, monkeypatch):
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from marval.sampling import triton_rows

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    numbers = {
        "width": "i32",
        "gate_stride": "i32",
        "scale_stride": "i32",
        "shift_stride": "i32",
        "eps": "fp32",
    }
    half, single = (
        dict.fromkeys(("update", "gate", "scale", "shift", "kept"), "*bf16"),
        {"x": "*fp32", "out": "*fp32"},
    )
    flags = {"UPDATED": True, "GATED": True, "BLOCK": 1024}
    tokens = {
        **dict.fromkeys(("x", "output", "noise", "new"), "*fp32"),
        **dict.fromkeys(("count", "channels"), "i32"),
        **dict.fromkeys(("a", "b", "rate"), "fp32"),
    }
    for kernel, signature, constants in (
        (triton_rows._residual_norm, {**half, **single, **numbers}, flags),
        (triton_rows._denoise, tokens, {"NOISY": True, "BLOCK": triton_rows.PIECE}),
    ):
        whole = {**signature, **dict.fromkeys(constants, "constexpr")}
        ordered = {name: whole[name] for name in kernel.arg_names}
        source = ASTSource(kernel, ordered, constants)
        assert triton.compile(source, target=GPUTarget("cuda", capability, 32)).asm["cubin"]


def launches(steps: int, ar_steps: int = 4, guidance: float = 2.0):
    """t = 950 is where a chain needs no step in float32."""
    sampler = DiffusionChain(NoiseSchedule.respaced(steps, 950)) if steps > 1 else OneStep.at(900)
    return image_launches(MODEL, sampler, ar_steps, guidance)


def test_a_step_of_the_head_is_28_kernels():
    """Of each block two products, an activation and what stands between this block and the one before; input, output, last
    norm, and the step itself."""
    more = launches(5).in_graphs - launches(4).in_graphs
    assert more == 4 * (4 * BLOCKS + 4) == 4 * 28


def test_student_launches_one_graph_an_ar_step():
    """Eight kernels of each transformer block: four products, attention, activation, and a residual with the next norm twice."""
    three, four = launches(1, 3, 1.0), launches(1, 4, 1.0)
    assert (three.replays, four.replays) == (3, 4)
    deeper = MODEL.model_copy(update={"encoder_blocks": 4})
    another = image_launches(deeper, OneStep.at(900), 4, 1.0)
    assert another.in_graphs - four.in_graphs == 3 * 8  # the first AR step has no transformer
    assert another.eager == four.eager


def test_a_cpu_and_double_precision_keep_torchs_own_operations():
    assert type(rows_for(torch.device("cpu"), torch.float32)) is Rows
    assert type(rows_for(torch.device("meta"), torch.float64)) is Rows
    assert isinstance(rows_for(torch.device("meta"), torch.float32), FusedRows)


@needs_triton
@pytest.mark.skipif(torch.cuda.is_available(), reason="Triton works where there is a GPU")
def test_where_triton_does_not_work_torchs_own_operations_do(caplog):
    rows._can_be_fused.cache_clear()
    with caplog.at_level(logging.WARNING, logger="marval"):
        assert not rows._can_be_fused(torch.device("cpu"))
    assert "sampling without fused kernels: " in caplog.text
