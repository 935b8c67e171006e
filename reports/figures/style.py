"""One look for all figures: no background and mid-grey ink, so that they read on a light and on a dark page."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from reports.methods import Family
from reports.roles import Role

INK = "#767676"  # contrast 4.5 on white and 4.1 on near-black; in the page it becomes the text's own colour
WIDE, HIGH = 5.0, 3.4  # inches; narrow enough that 9-point text is still readable on a phone

GREY = "#8a8a8a"  # of real images, and of what is there for comparison
COLOURS = {Role.TEACHER: "#2f7fc1", Role.STUDENT: "#d55e00", Role.REINFORCED: "#009e73"}
FAMILY_COLOURS = {
    Family.TEACHER: COLOURS[Role.TEACHER],
    Family.TRAINING_FREE: "#6c71c4",
    Family.STUDENT: COLOURS[Role.STUDENT],
    Family.OBJECTIVE: "#b58900",
    Family.BEST: "#b0559e",
    Family.REINFORCED: COLOURS[Role.REINFORCED],
}
SEQUENCE = ("#2f7fc1", "#d55e00", "#009e73", "#b0559e", "#b58900", "#6c71c4")

SETTINGS: Any = {
    "figure.figsize": (WIDE, HIGH),
    "figure.constrained_layout.use": True,
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "savefig.transparent": True,
    "axes.facecolor": "none",
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": INK,
    "grid.alpha": 0.2,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "font.size": 9.5,
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that every machine draws the same
    "lines.linewidth": 1.6,
    "lines.markersize": 5,
    "svg.fonttype": "path",
    "svg.hashsalt": "reports",  # otherwise ids, and so the files' hashes, change from run to run
}


@dataclass(frozen=True)
class Drawing:
    """A finished figure: its files' stem, what it shows (caption), what is to be read off it (for who cannot see it)."""

    id: str
    caption: str
    description: str
    svg: str
    png: bytes

    @property
    def inline_svg(self) -> str:
        """For a page: ids of its own, the text's colour, scalable width, and hidden from readers that get `description`."""
        svg = self.svg[self.svg.index("<svg") :].replace(INK, "currentColor")
        svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
        svg = re.sub(r'\bid="', f'id="{self.id}-', svg)
        svg = re.sub(r"url\(#", f"url(#{self.id}-", svg)
        svg = re.sub(r'href="#', f'href="#{self.id}-', svg)
        head, rest = svg.split(">", 1)
        head = re.sub(r' (width|height)="[^"]*"', "", head)
        return f'{head} aria-hidden="true" focusable="false">{rest}'


@contextmanager
def style() -> Iterator[None]:
    with mpl.rc_context(SETTINGS):
        yield


def finish(figure: Figure, id: str, caption: str, description: str) -> Drawing:
    """Render to SVG and PNG; the same content gives the same bytes."""
    svg, png = io.StringIO(), io.BytesIO()
    FigureCanvasSVG(figure)  # whose widths of text the layout is made for
    if engine := figure.get_layout_engine():
        engine.execute(
            figure
        )  # once: saving would do it twice for each file, and it takes longer than drawing
    figure.set_layout_engine("none")
    figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
    figure.savefig(png, format="png", dpi=130, metadata={"Software": None})
    return Drawing(id, caption, description, svg.getvalue(), png.getvalue())


def colour(role: Role | None) -> str:
    """Of a variant with this role; grey for real images and for a role that no figure sets apart."""
    return GREY if role is None else COLOURS.get(role, GREY)
