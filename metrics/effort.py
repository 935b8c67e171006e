"""How much is computed for intervals and extrapolation, where the settings leave it to the size of the judge."""

from metrics.settings import EvaluationSettings

LARGE = 1000  # features, from where one Frechet distance takes seconds: Inception has 2048


def halves_of(settings: EvaluationSettings, dimension: int) -> int:
    """Random halves for the interval of a metric of sets, under a judge of `dimension` features."""
    return settings.half_samples or (30 if dimension < LARGE else 6)


def points_of(settings: EvaluationSettings, dimension: int) -> int:
    """Sample counts for the extrapolated Frechet distance, under a judge of `dimension` features."""
    return settings.frechet_points or (8 if dimension < LARGE else 5)
