"""Judges that nobody here trained: what they rank of what is known, and whether that lets them decide anything."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from reports.claims.compare import DISTANCE, incomparable
from reports.formats import Metric
from reports.intervals import ratio
from reports.paper import Paper
from reports.results import Results

FEWEST_SCALES = 3  # an order of two says little


@dataclass(frozen=True)
class Ranking:
    """Whether something was ranked as it should be, on how many images at the least; `told` says it in words."""

    right: bool
    images: int | None  # None: not measured
    told: str


@dataclass(frozen=True)
class Standing:
    """One judge: its ranking of damaged copies of real images, and of the guidance scales."""

    judge: str
    copies: Ranking
    scales: Ranking

    @property
    def images(self) -> str:
        """How many the rankings are of."""
        of = {"in a half of held-out ones": self.copies.images, "generated at each scale": self.scales.images}
        return ", ".join(f"{n:,} {what}" for what, n in of.items() if n is not None)

    def decides(self, wanted: int) -> str:
        """What it may decide, where `wanted` images are enough, and why not more."""
        rankings = {"the corrupted copies": self.copies, "the guidance scales": self.scales}
        if absent := [what for what, ranking in rankings.items() if ranking.images is None]:
            return f"nothing: {' and '.join(absent)} were not ranked"
        if min(ranking.images or 0 for ranking in rankings.values()) < wanted:
            return f"nothing: too few images to decide ({wanted:,} are wanted)"
        if wrong := [what for what, ranking in rankings.items() if not ranking.right]:
            return f"nothing: it does not rank {' and '.join(wrong)}"
        return "distances: it has ranked both"


def standings(results: Results, paper: Paper) -> list[Standing]:
    """Of every judge that measures distances beside the one of all other metrics."""
    names: dict[str, str] = {}
    for rows in results.metrics.values():
        first = rows.get(DISTANCE)
        for name, row in rows.items():
            if first and name.startswith(DISTANCE) and row.judge != first.judge:
                names.setdefault(row.judge, name)
    return [
        Standing(judge, _copies(results, judge), _scales(results, paper, name))
        for judge, name in names.items()
    ]


def _copies(results: Results, judge: str) -> Ranking:
    """From judges/quality.json; rows of rankings have the number of images of each set."""
    rows = [row for row in results.judges if row.get("judge") == judge and "images" in row]
    taken = [row for row in rows if isinstance(row.get("value"), int | float)]
    if not rows or len(taken) < len(rows):
        lacking = [str(row["quantity"]).removeprefix("ranks ") for row in rows if row not in taken]
        return Ranking(False, None, f"not measured: {'; '.join(lacking)}" if lacking else "not measured")
    images = min(int(row["images"]) for row in rows)
    wrong = [row for row in taken if row["value"] < 1]
    if wrong:
        shares = [
            f"{str(row['quantity']).removeprefix('ranks ')}: on {row['value']:.0%} of the halves"
            for row in wrong
        ]
        return Ranking(False, images, f"not ranked ({'; '.join(shares)})")
    return Ranking(True, images, f"ranked on all of {min(int(row['n']) for row in taken)} halves")


def _scales(results: Results, paper: Paper, name: str) -> Ranking:
    """The order of the guidance scales by its distance, beside Table 3's."""
    grid = {w: results.metric(variant, name) for w, variant in results.roles.guidance_grid.items()}
    rows = {w: row for w in paper.guidance_order if (row := grid.get(w))}
    if len(rows) < FEWEST_SCALES or paper.best_guidance not in rows:
        alone = f" (w = {_listed(rows)} alone)" if rows else ""
        return Ranking(False, None, f"not measured{alone}")
    if trouble := incomparable(*rows.values()):
        return Ranking(False, None, f"not measured: {trouble}")
    found = sorted(rows, key=lambda w: _relative(rows[w], rows[paper.best_guidance]))
    images = min(row.n or 0 for row in rows.values())
    right = found == list(rows)
    told = "as the paper's" if right else f"the paper's: {_listed(rows)}"
    return Ranking(
        right, images, f"{'' if right else 'not '}ranked: w = {_listed(found)}, nearest first ({told})"
    )


def _listed(scales: Iterable[float]) -> str:
    return ", ".join(f"{w:g}" for w in scales)


def _relative(row: Metric, best: Metric) -> float:
    """A distance over that of the paper's best scale, on the seeds that both have."""
    return 1.0 if row is best else ratio(row.estimate, best.estimate).value
