"""The page in a real browser, where there is one: layout at two widths, console, requests, and what a reader sees.

The page itself has no script. A copy for the test carries one that measures and tells the frame around it; the browser
prints that frame. Chromium has a least window width, so the frame, not the window, is made narrow. conftest.py leaves
this file out where there is no browser; the static checks of the page run everywhere.
"""

from __future__ import annotations

import html
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from reports.build import build
from reports.results import Results

BROWSER = "chromium"
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
    figures: all("svg").filter((e) => e.getBoundingClientRect().height > 50).length,
    pictures: all("img").filter((e) => e.complete && e.naturalWidth > 0).length,
    broken: all("img").filter((e) => !e.naturalWidth).length,
    verdicts: all("#verdicts tbody tr").map((e) => [e.cells[0].innerText, e.cells[1].innerText]),
    requests: performance.getEntriesByType("resource").map((e) => e.name).filter((n) => !n.startsWith("data:")),
    wideCards: all(".cards").filter((e) => e.getBoundingClientRect().width > innerWidth).map((e) => e.id),
    seen: all("#verdicts td").every((e) => right(e) <= innerWidth),
    ink: getComputedStyle(document.body).color,
    axes: all('svg [style*="stroke: currentColor"]').slice(0, 3).map((e) => getComputedStyle(e).stroke),
  }), "*");
});
</script></body>
"""

FRAME = """<!DOCTYPE html><meta charset="utf-8"><link rel="icon" href="data:,"><script>
addEventListener("message", (event) => { document.documentElement.dataset.told = event.data; });
</script><iframe src="copy.html" style="width:WIDTHpx;height:900px;border:0"></iframe>"""


def run(folder: Path, url: str, *flags: str) -> tuple[str, str]:
    """(DOM after loading, log). Every host name is unknown to the browser, so that nothing can leave the machine."""
    command = [
        BROWSER,
        *(
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--no-proxy-server",
        ),
        *(
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--enable-logging=stderr",
        ),
        *("--host-resolver-rules=MAP * ~NOTFOUND", "--window-size=1400,1000", "--virtual-time-budget=8000"),
        *(f"--user-data-dir={folder / 'profile'}", *flags, "--dump-dom", url),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, done.stderr


def measured(page: Path, folder: Path, width: int, *flags: str) -> dict[str, Any]:
    """What the measuring copy told, and the console's lines."""
    (folder / "copy.html").write_text(page.read_text().replace("</body>", MEASURE))
    (folder / "frame.html").write_text(FRAME.replace("WIDTH", str(width)))
    dom, log = run(folder, (folder / "frame.html").as_uri(), *flags)
    told = re.search(r'data-told="([^"]*)"', dom)
    assert told, log[-2000:]
    return json.loads(html.unescape(told[1])) | {
        "console": [line for line in log.splitlines() if "CONSOLE" in line]
    }


@pytest.mark.parametrize("width", WIDTHS)
def test_page_in_a_browser(width: int, reported: Path, tmp_path: Path) -> None:
    seen = measured(reported / "report.html", tmp_path, width)
    assert seen["width"] == width
    assert seen["overflow"] <= 0, seen["outside"]
    assert seen["outside"] == []
    assert seen["wideCards"] == []
    assert seen["seen"]  # the whole verdict, without scrolling sideways
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
    dom, log = run(tmp_path, (reported / "report.html").as_uri())
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
