"""From the projected conditions of some tokens to the tokens: a diffusion chain, a solver's chain, or one evaluation.

Every shape depends on the number of tokens alone and nothing is asked of the host, so that the whole chain can be captured as one
CUDA graph. In bfloat16 the blocks of the head lose 8 bits; a step that multiplies the prediction's error by more than
`AMPLIFICATION` (of MAR's chain the first one alone, 320 times) is therefore computed in float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from marval.models.head import DenoisingHead
from marval.sampling.modulated_head import ModulatedHead
from marval.sampling.rows import Rows, rows_for
from marval.sampling.tables import DenoisingStep, SolverStep, Step, factors_of

AMPLIFICATION = 10.0
# modulations held at once: what stays in a core's second-level cache, or what makes a GPU's products large enough
HELD_BYTES = {"cpu": 1 << 20, "cuda": 1 << 26, "meta": 1 << 26}  # meta: what a GPU would do
# or a part of their weights, which are not to be read for a few rows where no cache holds them: at MAR-B's size (80 MiB), 4
# tokens on one core, a chain takes 2.31 s with 1 MiB of modulations, 0.90 with 8 and 0.83 with 64
HELD_PART = 8


@dataclass(frozen=True)
class _Part:
    """Consecutive steps that are computed in one precision."""

    head: ModulatedHead
    times: Tensor  # (n, W) embedded
    steps: Sequence[Step]
    factors: Sequence[Tensor]  # (2C,) for each step, of a solver none
    first: int


class TokenChain:
    """Tokens `(T, C)` from conditions `(R, W)`, guidance scale (0-d), start noise `(T, C)` and step noise `(S, T, C)`."""

    def __init__(
        self,
        head: DenoisingHead,
        steps: Sequence[Step],
        branches: int,
        dtype: torch.dtype,
        rows: Rows | None = None,
    ) -> None:
        """`rows`: by default what suits the head's device."""
        self.outer = torch.promote_types(dtype, torch.float32)
        device = head.input_proj.weight.device
        self.rows = rows or rows_for(device, self.outer)
        times = head.time_embed(torch.tensor([step.t for step in steps], device=device))
        precise = 0
        while dtype != self.outer and precise < len(steps) and abs(steps[precise].prediction) > AMPLIFICATION:
            precise += 1
        cuts = [(self.outer, 0, precise), (dtype, precise, len(steps))]
        self.parts = [
            _Part(
                ModulatedHead(head, branches, kind, self.rows),
                times[first:last].to(kind),
                steps[first:last],
                self._factors(steps[first:last], head.channels, device),
                first,
            )
            for kind, first, last in cuts
            if first < last
        ]
        self.length = len(steps)
        self.drawn = len(steps) if any(step.spread for step in steps) else 0  # S
        spreads = [step.spread for step in steps[: self.drawn]]
        self.spread = torch.tensor(spreads, dtype=self.outer, device=device)[:, None, None]
        # all steps are a solver's, or none
        self.matrices = [step.matrix.to(device, self.outer) for step in steps if isinstance(step, SolverStep)]

    def __call__(self, condition: Tensor, scale: Tensor, start: Tensor, noise: Tensor) -> Tensor:
        drawn = (noise[: self.drawn] * self.spread).unbind(0)
        x = start
        remembered = start.new_zeros(len(self.matrices[0]) - 1 if self.matrices else 0, start.numel())
        for part in self.parts:
            head, rows = part.head, condition.to(part.head.dtype)
            weight = head.output_weight(scale)
            held_bytes = max(HELD_BYTES[rows.device.type], head.modulation_weight_bytes() // HELD_PART)
            held = max(1, held_bytes // head.modulation_bytes(len(rows)))
            for low in range(0, len(part.steps), held):
                modulations = head.modulations(part.times[low : low + held], rows)
                for i, modulation in enumerate(modulations, low):
                    output, step = head(x, modulation, weight), part.steps[i]
                    if isinstance(step, SolverStep):
                        prediction = output.chunk(2, dim=-1)[0]
                        known = torch.cat([x.reshape(1, -1), remembered, prediction.reshape(1, -1)])
                        state = torch.mm(self.matrices[part.first + i], known)
                        x, remembered = state[0].view_as(start), state[1:]
                        continue
                    noise_of_step = drawn[part.first + i] if step.spread else None
                    x = self.rows.denoised(x, output, noise_of_step, step, part.factors[i])
        return x

    def _factors(self, steps: Sequence[Step], channels: int, device: torch.device) -> Sequence[Tensor]:
        denoising = [step for step in steps if isinstance(step, DenoisingStep)]
        return factors_of(denoising, channels, self.outer, device).unbind(0) if denoising else ()
