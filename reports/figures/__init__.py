"""The report's figures, drawn with matplotlib as SVG (and PNG) from result files."""

from __future__ import annotations

from reports.figures import batches, diversity, frontiers, sample_size, shares, speedups
from reports.figures.hacking import reward_hacking
from reports.figures.style import Drawing, style
from reports.figures.training import training_curves
from reports.paper import Paper
from reports.results import Results

__all__ = ["Drawing", "all_figures"]

FIGURES = (  # in the order of the page, two in a row: of like height beside each other
    frontiers.against_seconds,
    frontiers.against_diffusion_steps,
    frontiers.every_method_singly,
    frontiers.every_method_in_batches,
    frontiers.against_guidance,
    diversity.against_diversity,
    frontiers.against_ar_steps,
    speedups.speedup_by_regime,
    batches.time_by_batch,
    shares.component_shares,
    sample_size.against_sample_size,
)


def all_figures(results: Results, paper: Paper) -> dict[str, Drawing]:
    """{id: figure}; a figure without data is left out."""
    with style():
        drawn = [draw(results, paper) for draw in FIGURES]
        return {d.id: d for d in [*drawn, reward_hacking(results), *training_curves(results)] if d}
