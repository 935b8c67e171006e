"""Evaluation of class-conditional image generators: judges, reference statistics, metrics with intervals.

The package stands alone: it reads images and writes numbers, and knows nothing about the models that made the
images.
"""

from metrics.errors import UserError

__all__ = ["UserError"]
