"""The pages in a real browser, where there is one: layout at two widths, console, requests, accessibility, what a reader sees.

The static checks of the page run everywhere.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import browser
import pytest

from reports.build import build
from reports.results import Results

pytestmark = [
    pytest.mark.long,
    pytest.mark.slow,
    pytest.mark.skipif(browser.MISSING, reason=f"no {browser.BROWSER} on this machine"),
]
SCHEMES = {"light": (), "dark": (browser.DARK,)}
PAGES = ("report.html", "index.html", "compared.html")

MEASURE = """
function measure() {
  const page = document.documentElement, all = (s) => [...document.querySelectorAll(s)];
  const right = (e) => e.getBoundingClientRect().right;
  const outside = all("body *").filter((e) => !e.closest(".scroll, svg, .skip") && right(e) > page.clientWidth + 1);
  return {
    overflow: page.scrollWidth - page.clientWidth,
    outside: outside.slice(0, 5).map((e) => e.outerHTML.slice(0, 120)),
    tables: all("table").filter((e) => e.getBoundingClientRect().height > 20 || e.closest("details")).length,
    figures: all("figure svg").filter((e) => e.getBoundingClientRect().height > 50).length,
    pictures: all("img").filter((e) => e.complete && e.naturalWidth > 0).length,
    broken: all("img").filter((e) => !e.naturalWidth).length,
    verdicts: all("#verdicts li a").map((e) => [e.innerText, e.closest("li").querySelector(".verdict").innerText]),
    requests: performance.getEntriesByType("resource").map((e) => e.name).filter((n) => !n.startsWith("data:")),
    wideCards: all(".cards").filter((e) => e.getBoundingClientRect().width > innerWidth).map((e) => e.id),
    seen: all("#verdicts *").every((e) => right(e) <= innerWidth),
    strips: all(".forest .dot").map((e) => e.getBoundingClientRect()).every((r) => r.left >= 0 && r.right <= innerWidth),
    ink: getComputedStyle(document.body).color,
    axes: all('svg [style*="stroke: currentColor"]').slice(0, 3).map((e) => getComputedStyle(e).stroke),
  };
}
"""

Looks = dict[tuple[str, str, int], dict[str, Any]]


@pytest.fixture(scope="module")
def looks(compared: Path, tmp_path_factory: pytest.TempPathFactory) -> Looks:
    """{(scheme, page, width): what was measured}."""
    folder = tmp_path_factory.mktemp("looks")
    pages = {name: compared / ("a/report.html" if name == "report.html" else name) for name in PAGES}
    return {
        (scheme, *key): told
        for scheme, flags in SCHEMES.items()
        for key, told in browser.looked_at(folder, pages, MEASURE, *flags).items()
    }


@pytest.mark.parametrize("width", browser.WIDTHS)
@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_page_fits_is_silent_and_accessible(looks: Looks, scheme: str, page: str, width: int) -> None:
    seen = looks[scheme, page, width]
    assert seen["violations"] == []
    assert seen["overflow"] <= 0, seen["outside"]
    assert seen["outside"] == []
    assert seen["wideCards"] == []
    assert seen["seen"]  # the whole verdict, without scrolling sideways
    assert seen["strips"]
    assert seen["console"] == []
    assert seen["requests"] == []
    assert seen["broken"] == 0


@pytest.mark.parametrize("page", PAGES)
def test_no_rule_on_whole_pages_is_broken(compared: Path, tmp_path: Path, page: str) -> None:
    path = compared / ("a/report.html" if page == "report.html" else page)
    assert browser.objections(tmp_path, path) == []


def test_axe_core_objects_to_what_is_wrong(tmp_path: Path) -> None:
    """So that an empty list means something."""
    page = tmp_path / "wrong.html"
    page.write_text(
        '<!DOCTYPE html><html><body><main><img src="data:,"><p style="color: #bbb">pale</p></main></body></html>'
    )
    found = {line.partition(":")[0] for line in browser.objections(tmp_path, page)}
    assert found >= {"image-alt", "color-contrast", "document-title", "html-has-lang"}


@pytest.mark.parametrize("width", browser.WIDTHS)
def test_the_report_shows_all(looks: Looks, compared: Path, width: int) -> None:
    seen = looks["light", "report.html", width]
    assert seen["tables"] >= 18
    assert seen["figures"] >= 12
    assert seen["pictures"] >= 9
    claims = json.loads((compared / "a/claims.json").read_text())
    assert [[id, verdict[2:]] for id, verdict in seen["verdicts"]] == [
        [row["id"], row["verdict"]] for row in claims
    ]


def test_the_page_itself_opens_without_a_word_in_the_console(compared: Path, tmp_path: Path) -> None:
    dom, log = browser.run(tmp_path, (compared / "a/report.html").as_uri())
    assert "Do the claims hold?" in dom
    assert "CONSOLE" not in log


def test_dark_pages_turn_text_and_figures_light(looks: Looks) -> None:
    seen = looks["dark", "report.html", 1280]
    assert seen["ink"] == "rgb(230, 233, 237)"
    assert set(seen["axes"]) == {seen["ink"]}


def test_an_empty_report_does_not_overflow_either(tmp_path: Path) -> None:
    root = tmp_path / "results" / "nothing"
    root.mkdir(parents=True)
    build(Results.open("nothing", root))
    seen = browser.looked_at(tmp_path, {"copy.html": root / "report.html"}, MEASURE)["copy.html", 390]
    assert seen["overflow"] <= 0
    assert seen["violations"] == []
    assert {verdict[2:] for _, verdict in seen["verdicts"]} == {"not attempted"}
