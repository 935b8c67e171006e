"""The energy score, without a teacher (EAR, arXiv 2505.07812, with alpha = 1; Gneiting & Raftery 2007).

    L = ||x - r|| + ||x' - r|| - ||x - x'||

x, x' two samples of the student for one condition, r the real token. The score is strictly proper: over the law of r, E L is
least where the student's law is that of r. Nothing in it is guided, and there is neither teacher nor auxiliary network.
"""

import torch
from torch import Tensor

from marval.objectives.scores import Scores
from marval.objectives.settings import Distance


def terms(scores: Scores, kind: Distance) -> dict[str, Tensor]:
    """The negative energy score, `(T,)`; the norm is the score's own, whatever the kind of distance."""
    first, second, real = scores.x0, scores.second, scores.real
    return {"loss_energy": _norm(first - real) + _norm(second - real) - _norm(first - second)}


def _norm(x: Tensor) -> Tensor:
    return torch.linalg.vector_norm(x, dim=-1)
