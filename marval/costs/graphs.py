"""Memory of the optimised sampler beside its weights: the images under way, and what its CUDA graphs keep for the next batch.

A recorded graph keeps copies of what it is given and the memory of its result, all graphs together the most that one of them
needs while it runs. Counted on the meta device with few blocks: those of a transformer leave nothing behind.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Sequence

import torch
from torch import Tensor

from marval.costs.gpu import Meter, gpu_arithmetic
from marval.costs.image import Sampling
from marval.models.mar import MAR
from marval.models.settings import MARConfig
from marval.sampling.draws import Draws
from marval.sampling.graphs import Function, Key, Runner
from marval.sampling.optimised import OptimisedSampler
from marval.sampling.token_samplers import DiffusionChain, OneStep, TokenSampler

T = 900  # any noise level takes the same
SHORT = 3  # steps of a chain that is counted; a longer one takes as much more for each as a fourth does


@functools.cache
def graphs_bytes(config: MARConfig, sampling: Sampling, batch: int, dtype: torch.dtype) -> float:
    """The most at a time for batches of so many images; chains draw noise, and are as long as the longest."""
    shallow = config.model_copy(update={"encoder_blocks": 1, "decoder_blocks": 2})
    with torch.device("meta"):
        model = MAR(shallow).eval()

    def peak(inner: TokenSampler) -> float:
        return sampled_bytes(
            OptimisedSampler(model, inner, sampling.ar_steps, sampling.guidance, dtype), batch
        )

    steps = max(sampling.steps)
    if steps == 1:
        return peak(OneStep.at(T))
    short, longer = (peak(DiffusionChain.of(n, T)) for n in (SHORT, SHORT + 1))
    return short + (steps - SHORT) * (longer - short)


def sampled_bytes(fast: OptimisedSampler, batch: int) -> float:
    """`peak_bytes` from few AR steps: the first, and the last that predicts each number of tokens; of the others, results."""
    whole, last = fast.plan, {step.before - step.after: step for step in fast.plan}
    fast.plan = [step for step in whole if step is whole[0] or step in last.values()]
    left_out = sum(step.before - step.after for step in whole if step not in fast.plan)
    row = (
        fast.config.channels * fast.outer.itemsize
    )  # of a student's graph tokens come, of a teacher's conditions
    if fast.chains[0].length > 1:
        row = fast.branches * fast.config.head.width * fast.backbone.dtype.itemsize
    try:
        return peak_bytes(fast, batch) + batch * left_out * row
    finally:
        fast.plan = whole


def peak_bytes(fast: OptimisedSampler, batch: int, run: Runner | None = None) -> float:
    """Of one batch by a sampler on any device, without its weights; by default its graphs are recorded on the way."""
    config, device = fast.config, fast.device
    tokens, width = config.tokens, config.head.width
    as_on_gpu = gpu_arithmetic(mixed=False) if device.type == "meta" else contextlib.nullcontext()
    with Meter(device) as meter, torch.inference_mode(), as_on_gpu, device:
        order = torch.arange(tokens).expand(batch, -1).contiguous()
        noise = torch.zeros(batch, max(1, fast.drawn), tokens, config.channels)
        draws = Draws(order, torch.zeros(batch, tokens, config.channels), noise)
        first = torch.zeros(fast.branches, batch, tokens, width, dtype=fast.backbone.dtype)
        fast.generate(run or _Recording(), first, torch.zeros(batch, dtype=torch.int64), draws)
    return meter.peak


class _Recording:
    """Keeps what `marval.sampling.graphs.Graphs` keeps."""

    def __init__(self) -> None:
        self._kept: Sequence[Tensor] = ()
        self._recorded: dict[Key, tuple[list[Tensor], Tensor]] = {}

    def keep(self, tensors: Sequence[Tensor]) -> Sequence[Tensor]:
        self._kept = [tensor.clone() for tensor in tensors]
        return self._kept

    def __call__(self, key: Key, function: Function, *inputs: Tensor) -> Tensor:
        if key not in self._recorded:
            held = [tensor.clone() for tensor in inputs]
            self._recorded[key] = held, function(*held)
        return self._recorded[key][1]
