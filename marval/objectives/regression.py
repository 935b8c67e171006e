"""Regression onto the teacher's deterministic chain (knowledge distillation, Luhman & Luhman, arXiv 2101.02388).

    L = d(x0 - f(start)),    f(start) the end of the guided teacher's probability-flow ODE that starts from the student's noise

The chain is a function of noise and condition, so the student can learn it exactly; there is no auxiliary network.
"""

from torch import Tensor

from marval.objectives.gsim import distance
from marval.objectives.scores import Scores
from marval.objectives.settings import Distance


def terms(scores: Scores, kind: Distance) -> dict[str, Tensor]:
    """The distance, `(T,)`."""
    return {"loss_regression": distance(scores.x0 - scores.chain, kind)}
