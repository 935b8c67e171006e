"""The auto-regressive sampler, written to be read (MAR, section 3.3; MARVAL's is the same loop with `OneStep`).

Differentiable in the model's parameters, so that MARVAL-RL can train through whole images.
"""

from __future__ import annotations

import torch
from torch import Tensor

from marval.masking.orders import first_masked
from marval.masking.schedule import linear_guidance, unmasking_schedule
from marval.models.mar import MAR
from marval.models.transformer import gather_positions
from marval.sampling.draws import Draws
from marval.sampling.token_samplers import TokenSamplers, one_for_each


def sample_tokens(
    model: MAR,
    sampler: TokenSamplers,
    labels: Tensor,
    draws: Draws,
    ar_steps: int,
    guidance: float,
    known: Tensor | None = None,
    known_count: int = 0,
    on_step: list[Tensor] | None = None,
) -> Tensor:
    """Whole images as tokens `(B, N, C)` for `labels` `(B,)`.

    sampler: of the tokens; one for all AR steps, or one for each.
    guidance: the scale w, reached linearly over the AR steps; exactly 1 runs no unconditional branch.
    known: tokens `(B, N, C)` of images to in-paint; the last `known_count` positions of each order are taken from it.
    on_step: a list that receives the tokens after each AR step, zero where still masked.
    """
    batch, positions = draws.order.shape
    masked_count = positions - known_count
    masked = first_masked(draws.order, masked_count)
    tokens = torch.zeros_like(draws.start) if known is None else known * masked.logical_not()[..., None]
    condition, branches = model.class_condition(labels), 1
    if guidance != 1:  # both branches are one batch, as in MAR
        condition, branches = torch.cat([condition, model.null_condition(batch)]), 2
    schedule = unmasking_schedule(positions, ar_steps, masked_count)
    for after, draw in zip(schedule, one_for_each(sampler, ar_steps), strict=True):
        z = model(tokens.repeat(branches, 1, 1), masked.repeat(branches, 1), condition, masked_count)
        revealed = draws.order[:, after:masked_count]
        rows = [_rows(part, revealed) for part in z.chunk(branches)]
        new = draw(
            model.head,
            rows[0],
            rows[1] if branches == 2 else None,
            linear_guidance(guidance, positions, after),
            _rows(draws.start, revealed),
            draws.steps.take_along_dim(revealed[:, None, :, None], dim=2).transpose(0, 1).flatten(1, 2),
        ).unflatten(0, revealed.shape)
        tokens = tokens.scatter(1, revealed[..., None].expand_as(new), new)
        masked, masked_count = first_masked(draws.order, after), after
        if on_step is not None:
            on_step.append(tokens)
    return tokens


def _rows(x_BND: Tensor, positions_BM: Tensor) -> Tensor:
    """Rows of the positions of all images, `(B M, D)`."""
    return gather_positions(x_BND, positions_BM).flatten(0, 1)
