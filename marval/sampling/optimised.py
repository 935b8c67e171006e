"""The optimised sampler: the tokens of `marval.sampling.reference`, to rounding, with nothing computed twice.

Built once for a model, an inner sampler (or one for each AR step), a number of AR steps and a guidance scale; then called for
batch after batch. How many tokens are known at each AR step follows from N and K alone, so all shapes are known before an image
is drawn. The first AR step's conditions depend on the class alone and are kept. For inference and whole images only (in-painting
and gradients: the reference).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from marval.masking.schedule import linear_guidance, unmasking_schedule
from marval.models.mar import MAR
from marval.sampling.backbone import Backbone, Canvas
from marval.sampling.chain import TokenChain
from marval.sampling.draws import Draws
from marval.sampling.graphs import Direct, Graphs, Runner
from marval.sampling.rows import Rows
from marval.sampling.tables import denoising_steps
from marval.sampling.token_samplers import TokenSamplers, one_for_each


@dataclass(frozen=True)
class ARStep:
    """Positions [after:before] of each order are predicted by chain number `chain`, with guidance `scale` (0-d)."""

    after: int
    before: int
    scale: Tensor
    chain: int


class _State(NamedTuple):
    """The images under way, sorted by their orders; graphs refer to these very tensors."""

    start: Tensor  # (B, N, C) noise
    done: Tensor  # (B, N, C), filled from the tail
    canvas: Canvas

    def start_of(self, step: ARStep) -> Tensor:
        return self.start[:, step.after : step.before].flatten(0, 1)


class OptimisedSampler:
    """Whole images as tokens. The networks compute in `dtype`, tokens and noise are at least float32.

    To be built anew when the model's weights change. Raises ValueError for AR steps that the model cannot make, TypeError for an
    inner sampler of an unknown kind.
    """

    def __init__(
        self,
        model: MAR,
        sampler: TokenSamplers,
        ar_steps: int,
        guidance: float,
        dtype: torch.dtype = torch.float32,
        rows: Rows | None = None,
    ) -> None:
        """`rows`: how what is no matrix product is computed; by default what suits the model's device."""
        self.config, self.device = model.config, model.fake_latent.device
        self.branches = 1 if guidance == 1 else 2
        with torch.inference_mode():
            self.backbone = Backbone(model, dtype, rows)
            samplers = one_for_each(sampler, ar_steps)
            distinct = {id(inner): inner for inner in samplers}
            self.chains = [
                TokenChain(model.head, denoising_steps(inner), self.branches, dtype, rows)
                for inner in distinct.values()
            ]
            self.outer = self.chains[0].outer
            self.drawn = max(chain.drawn for chain in self.chains)
            numbers = list(distinct)
            self.plan = self._plan(guidance, [numbers.index(id(inner)) for inner in samplers])
        self._first: dict[int | None, Tensor] = {}  # class, None for no class -> (N, W)
        self._runner: tuple[int, Runner] | None = None  # with its batch size

    def _plan(self, guidance: float, chains: list[int]) -> list[ARStep]:
        """`chains`: the number of each AR step's chain."""
        tokens = self.config.tokens
        counts = [tokens, *unmasking_schedule(tokens, len(chains))]
        scales = [linear_guidance(guidance, tokens, after) for after in counts[1:]]
        at = torch.tensor(scales, dtype=self.outer, device=self.device).unbind(0)
        return [ARStep(a, b, w, n) for b, a, w, n in zip(counts, counts[1:], at, chains, strict=False)]

    def __call__(self, labels: Tensor, draws: Draws) -> Tensor:
        """Tokens `(B, N, C)` for `labels` `(B,)`."""
        with torch.inference_mode():
            first = self.first_conditions(labels)
            run = self.runner(len(labels))
            tokens = self.generate(run, first, labels.to(self.device), draws.to(self.device))
        return tokens.clone()  # an ordinary tensor, which autograd accepts

    def first_conditions(self, labels: Tensor) -> Tensor:
        """Conditions `(G, B, N, W)` of every position of an all-masked image; computed where a class is new."""
        classes: list[int | None] = labels.tolist()
        nowhere: list[int | None] = [None] * len(classes)
        branches = [classes, nowhere][: self.branches]
        return torch.stack([torch.stack([self._first_of(name) for name in names]) for names in branches])

    def _first_of(self, name: int | None) -> Tensor:
        """By itself, so that its last bit does not depend on the batch that a class was first seen in."""
        if name not in self._first:
            backbone, tokens = self.backbone, self.config.tokens
            embedding = backbone.null if name is None else backbone.classes[name : name + 1]
            canvas = backbone.canvas(embedding, torch.arange(tokens, device=self.device)[None])
            self._first[name] = backbone.decode(canvas, 0, tokens, backbone.encode(canvas, tokens))[0, :, 0]
        return self._first[name]

    def generate(self, run: Runner, first: Tensor, labels: Tensor, draws: Draws) -> Tensor:
        """The tokens; every shape follows from those of the arguments, and nothing is asked of the host.

        An AR step is one function for `run` where the head is evaluated once. A chain has thousands of kernels: it is a function
        of its own, which the AR steps that predict equally many tokens share.
        """
        order, (start, noise) = draws.order, self._sorted(draws)
        canvas = self.backbone.canvas(self._embeddings(labels), order)
        kept = run.keep([start, torch.empty_like(start), *canvas])
        state = _State(kept[0], kept[1], Canvas(*kept[2:]))
        for step in self.plan:
            after, before = step.after, step.before
            first_rows = [_at(first, order[:, after:before])] if before == self.config.tokens else []
            chain = self.chains[step.chain]
            if chain.length > 1:
                rows = (
                    first_rows[0]
                    if first_rows
                    else run(("transformer", before), partial(self._rows, state, step))
                )
                of_step = noise[:, :, after:before].flatten(1, 2)
                inputs = rows.flatten(0, 2), step.scale, state.start_of(step), of_step
                key = ("head", before - after, step.chain)
                self._reveal(state, step, run(key, partial(self.tokens, chain), *inputs))
            else:
                run(("AR step", before), partial(self._whole_step, state, step), *first_rows)
        inverse = order.argsort(dim=1)
        return state.done.gather(1, inverse[..., None].expand_as(state.done))

    def _whole_step(self, state: _State, step: ARStep, *first_rows: Tensor) -> Tensor:
        rows = first_rows[0] if first_rows else self._rows(state, step)
        start = state.start_of(step)
        new = self.tokens(self.chains[step.chain], rows.flatten(0, 2), step.scale, start, start[None, :0])
        return self._reveal(state, step, new)

    def tokens(self, chain: TokenChain, rows: Tensor, scale: Tensor, start: Tensor, noise: Tensor) -> Tensor:
        """What one of this sampler's chains gives; all of them are evaluated here."""
        return chain(rows, scale, start, noise)

    def _rows(self, state: _State, step: ARStep) -> Tensor:
        """The projected conditions `(B, M, G, W)` of what is predicted now."""
        encoded = self.backbone.encode(state.canvas, step.before)
        return self.backbone.decode(state.canvas, step.after, step.before, encoded)

    def _reveal(self, state: _State, step: ARStep, new: Tensor) -> Tensor:
        """Put the new tokens `(B M, C)` where they belong."""
        tokens = new.unflatten(0, (len(state.done), -1))
        state.done[:, step.after : step.before] = tokens
        if step.after:
            self.backbone.reveal(state.canvas, tokens, step.after, step.before)
        return tokens

    def runner(self, batch: int) -> Runner:
        """Graphs are recorded for one batch size; those of another are dropped."""
        if self._runner is None or self._runner[0] != batch:
            self._runner = (batch, Graphs() if self.device.type == "cuda" else Direct())
        return self._runner[1]

    def _embeddings(self, labels: Tensor) -> Tensor:
        classes = self.backbone.classes[labels]
        null = self.backbone.null.expand_as(classes)
        return classes if self.branches == 1 else torch.cat([classes, null])

    def _sorted(self, draws: Draws) -> tuple[Tensor, Tensor]:
        """Start noise `(B, N, C)` and step noise `(S, B, N, C)` in the order of the positions' disclosure."""
        order = draws.order[..., None].expand_as(draws.start)
        steps = draws.steps[:, : self.drawn]
        noise = steps.gather(2, order[:, None].expand_as(steps))
        return draws.start.gather(1, order).to(self.outer), noise.transpose(0, 1)


def _at(first: Tensor, positions: Tensor) -> Tensor:
    """`(B, M, G, W)`: rows `positions` `(B, M)` of `(G, B, N, W)`."""
    index = positions[None, :, :, None].expand(len(first), -1, -1, first.shape[-1])
    return first.gather(2, index).permute(1, 2, 0, 3)
