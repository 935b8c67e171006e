"""The page in a real browser, where there is one: layout at two widths, console, requests, and what a reader sees.

A copy of the page carries a script that measures and tells the frame around it; the browser prints that frame. Chromium has a
least window width, so the frame, not the window, is made narrow. The static checks of the page run everywhere.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import browser
import pytest

from reports.build import build
from reports.results import Results

pytestmark = pytest.mark.skipif(browser.MISSING, reason="no chromium on this machine")
WIDTHS = [1280, 390]

MEASURE = """
<script>
addEventListener("load", () => {
  const page = document.documentElement, all = (s) => [...document.querySelectorAll(s)];
  const right = (e) => e.getBoundingClientRect().right;
  const outside = all("body *").filter((e) => !e.closest(".scroll, svg, .skip") && right(e) > page.clientWidth + 1);
  parent.postMessage(JSON.stringify({
    width: innerWidth,
    overflow: page.scrollWidth - page.clientWidth,
    outside: outside.slice(0, 5).map((e) => e.outerHTML.slice(0, 120)),
    tables: all("table").filter((e) => e.getBoundingClientRect().height > 20 || e.closest("details")).length,
    figures: all("figure svg").filter((e) => e.getBoundingClientRect().height > 50).length,
    pictures: all("img").filter((e) => e.complete && e.naturalWidth > 0).length,
    broken: all("img").filter((e) => !e.naturalWidth).length,
    verdicts: all("#verdicts li").map((e) => [e.querySelector("a").innerText, e.querySelector(".verdict").innerText]),
    requests: performance.getEntriesByType("resource").map((e) => e.name).filter((n) => !n.startsWith("data:")),
    wideCards: all(".cards").filter((e) => e.getBoundingClientRect().width > innerWidth).map((e) => e.id),
    seen: all("#verdicts *").every((e) => right(e) <= innerWidth),
    strips: all("#forest .dot").map((e) => e.getBoundingClientRect()).every((r) => r.left >= 0 && r.right <= innerWidth),
    ink: getComputedStyle(document.body).color,
    axes: all('svg [style*="stroke: currentColor"]').slice(0, 3).map((e) => getComputedStyle(e).stroke),
  }), "*");
});
</script></body>
"""

FRAME = """<!DOCTYPE html><meta charset="utf-8"><link rel="icon" href="data:,"><script>
addEventListener("message", (event) => { document.documentElement.dataset.told = event.data; });
</script><iframe src="copy.html" style="width:WIDTHpx;height:900px;border:0"></iframe>"""


def measured(page: Path, folder: Path, width: int, *flags: str) -> dict[str, Any]:
    """What the measuring copy told, and the console's lines."""
    (folder / "copy.html").write_text(page.read_text().replace("</body>", MEASURE))
    (folder / "frame.html").write_text(FRAME.replace("WIDTH", str(width)))
    dom, log = browser.run(folder, (folder / "frame.html").as_uri(), *flags)
    return browser.told(dom, log) | {"console": browser.console(log)}


@pytest.mark.parametrize("width", WIDTHS)
def test_page_in_a_browser(width: int, reported: Path, tmp_path: Path) -> None:
    seen = measured(reported / "report.html", tmp_path, width)
    assert seen["width"] == width
    assert seen["overflow"] <= 0, seen["outside"]
    assert seen["outside"] == []
    assert seen["wideCards"] == []
    assert seen["seen"]  # the whole verdict, without scrolling sideways
    assert seen["strips"]
    assert seen["console"] == []
    assert seen["requests"] == []
    assert seen["tables"] >= 18
    assert seen["figures"] >= 12
    assert seen["pictures"] >= 9
    assert seen["broken"] == 0
    claims = json.loads((reported / "claims.json").read_text())
    assert [[id, verdict[2:]] for id, verdict in seen["verdicts"]] == [
        [row["id"], row["verdict"]] for row in claims
    ]


def test_the_page_itself_opens_without_a_word_in_the_console(reported: Path, tmp_path: Path) -> None:
    dom, log = browser.run(tmp_path, (reported / "report.html").as_uri())
    assert "Do the claims hold?" in dom
    assert "CONSOLE" not in log


def test_dark_pages_turn_text_and_figures_light(reported: Path, tmp_path: Path) -> None:
    seen = measured(reported / "report.html", tmp_path, 1280, "--blink-settings=preferredColorScheme=0")
    assert seen["ink"] == "rgb(230, 233, 237)"
    assert set(seen["axes"]) == {seen["ink"]}


def test_an_empty_report_does_not_overflow_either(tmp_path: Path) -> None:
    root = tmp_path / "results" / "nothing"
    root.mkdir(parents=True)
    build(Results.open("nothing", root))
    seen = measured(root / "report.html", tmp_path, 390)
    assert seen["overflow"] <= 0
    assert {verdict[2:] for _, verdict in seen["verdicts"]} == {"not attempted"}
