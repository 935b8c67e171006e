"""Distribution matching (DMD, arXiv 2311.18828, section 3.2): the gradient of KL(q_t || p_t) alone, its two scores held fixed.

    grad KL(q_t || p_t) = E (s_q(x_t) - s_p(x_t))^T dx_t/dtheta

With y = lambda (s_phi - s_p) as in `objectives.gsim`, the loss is <d'(y), x0> with d'(y) detached: its value says nothing. Its
gradient is lambda / alpha times KL's for the squared distance; for the pseudo-Huber one each sample's part is also divided by
about ||y||.
"""

from torch import Tensor

from marval.objectives.gsim import distance_gradient
from marval.objectives.scores import Scores
from marval.objectives.settings import Distance


def terms(scores: Scores, kind: Distance) -> dict[str, Tensor]:
    """The inner product, `(T,)`."""
    y = -scores.weight * (scores.auxiliary - scores.teacher)
    return {"loss_dmd": (distance_gradient(y, kind).detach() * scores.x0).sum(dim=-1)}
