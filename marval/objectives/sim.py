"""Score implicit matching (SIM, arXiv 2410.16794, equation 8): L1 of `objectives.gsim` alone.

Its gradient is that of F with the law of x_t held fixed: the change of the student's score, without that of its distribution.
"""

from torch import Tensor

from marval.objectives.gsim import gsim_terms
from marval.objectives.scores import Scores
from marval.objectives.settings import Distance


def terms(scores: Scores, kind: Distance) -> dict[str, Tensor]:
    """L1."""
    first, _ = gsim_terms(scores.auxiliary, scores.teacher, scores.noise, scores.weight, kind)
    return {"loss_l1": first}
