"""The page: self-contained, readable, complete, and never a crash."""

from __future__ import annotations

import contextlib
import html
import io
import json
import os
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import made_up
import numpy as np
import pytest

from reports.__main__ import main
from reports.build import PAGE_LIMIT, build
from reports.paper import Paper
from reports.results import Results
from reports.samples import galleries

VOID = {"meta", "link", "img", "br", "path", "use", "rect", "col", "input", "hr"}


class Outline(HTMLParser):
    """What the static checks ask of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.headings: list[int] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.ids: list[str] = []
        self.open: list[str] = []
        self.svg_depth = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {k: v or "" for k, v in attrs}
        self.tags.append((tag, attributes))
        if "id" in attributes:
            self.ids.append(attributes["id"])
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def text(reported: Path) -> str:
    return (reported / "report.html").read_text()


@pytest.fixture(scope="module")
def outline(text: str) -> Outline:
    parser = Outline()
    parser.feed(text)
    parser.close()
    return parser


def test_well_formed_with_unique_ids_and_links_that_lead_somewhere(outline: Outline) -> None:
    assert not outline.open
    assert len(outline.ids) == len(set(outline.ids))
    links = [a["href"] for a in outline.all("a")]
    assert all(link.startswith("#") for link in links)
    assert {link[1:] for link in links} <= set(outline.ids)


def test_no_request_leaves_the_page(text: str, outline: Outline) -> None:
    assert not any(attributes.get("src") for attributes in outline.all("script"))
    assert not outline.all("iframe")
    for _, attributes in outline.tags:
        for name in ("src", "href", "xlink:href", "poster", "srcset", "action"):
            if name in attributes:
                assert attributes[name].startswith(("data:", "#")), attributes[name][:80]
        assert not any(name.startswith("on") for name in attributes)
    assert "@import" not in text
    assert not re.search(r"url\((?!['\"]?(#|data:))", text)


def test_size(text: str) -> None:
    assert len(text.encode()) < PAGE_LIMIT


def test_headings_go_down_one_at_a_time(outline: Outline) -> None:
    assert outline.headings.count(1) == 1
    assert all(b - a <= 1 for a, b in zip([0, *outline.headings], outline.headings, strict=False))


def test_sections_are_in_the_order_of_the_questions(text: str) -> None:
    places = [text.index(f'<h2 id="{id}"') for id in ("pictures", "claims", "quality", "cost", "trust")]
    assert places == sorted(places)


def test_tables_have_captions_scopes_and_a_scroller_that_keys_can_reach(text: str, outline: Outline) -> None:
    tables = re.findall(r"<table.*?</table>", text, re.DOTALL)
    assert len(tables) >= 18
    assert all("<caption" in table for table in tables)
    assert all("scope" in attributes for attributes in outline.all("th"))
    scrollers = [a for a in outline.all("div") if a.get("class") == "scroll"]
    assert len(scrollers) == len(tables)
    assert all(
        a.get("tabindex") == "0" and (a.get("aria-label") or a.get("aria-labelledby")) for a in scrollers
    )


def test_figures_and_pictures_are_told_in_words(outline: Outline) -> None:
    drawn = [a for a in outline.all("div") if a.get("role") == "img"]
    assert len(drawn) == len([a for a in outline.all("svg") if "viewbox" in a]) >= 12
    assert all(len(a["aria-label"]) > 20 for a in drawn)
    assert all(len(a["alt"]) > 20 for a in outline.all("img"))


def test_language_title_viewport_and_skip_link(text: str, outline: Outline) -> None:
    assert outline.all("html")[0]["lang"] == "en"
    assert "<title>MARVAL reproduced: made-up</title>" in text
    assert any(a.get("name") == "viewport" for a in outline.all("meta"))
    assert next(a for a in outline.all("a"))["href"] == "#content"


def test_light_dark_and_print_are_styled(text: str) -> None:
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_text_contrasts_with_page_and_panel(text: str, scheme: int) -> None:
    block = re.findall(r":root \{(.*?)\}", text, re.DOTALL)[scheme]
    colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", block))
    for ground in ("page", "panel"):
        for ink in ("text", "soft", "link", "good", "bad", "open", "none"):
            high, low = sorted((luminance(colours[ink]), luminance(colours[ground])), reverse=True)
            assert (high + 0.05) / (low + 0.05) >= 4.5, (ink, ground)


def test_the_page_says_what_claims_json_says(reported: Path, text: str) -> None:
    for row in json.loads((reported / "claims.json").read_text()):
        card = re.search(rf'<p><a href="#claim-{row["id"]}">.*?</li>', text, re.DOTALL)
        assert card
        assert f" {row['verdict']}</span>" in card[0]
        assert row["scope"] in card[0]
        section = re.search(rf'<h3 id="claim-{row["id"]}">.*?</section>', text, re.DOTALL)
        assert section
        assert all(part["why"][1:] in html.unescape(section[0]) for part in row["parts"])
        assert all(part["power"][1:] in section[0] for part in row["parts"])
        assert all(entry["md5"] in text for entry in row["evidence"])


def test_speed_is_told_with_its_regime_and_the_frontier(text: str) -> None:
    note = text[text.index('id="cost"') :][:2000]
    assert "batch 1" in note
    assert "100 diffusion steps" in note
    assert "few-step teachers" in note
    assert "Of the 34.02 times (batch 1, eager, 8 AR steps), a factor of 2.00 is arithmetic" in note
    assert "Outside the claim's regime the speed-up is 27.76" in note
    assert "At the real size and on a CPU arithmetic decides" in text[text.index('id="cost"') :]
    assert "18.6" in text


def test_provenance_tells_how_to_make_every_file_again(text: str) -> None:
    for part in (
        "dvc repro evaluate@made-up-marval",
        "made-up CPU, 2 cores",
        "torch = 2.15.0",
        "0123456789abcdef",
    ):
        assert part in text


def test_samples_neighbours_orders_and_inpainting_are_shown(outline: Outline) -> None:
    alts = " ".join(a["alt"] for a in outline.all("img"))
    for part in (
        "samples of teacher-100",
        "samples of marval-rl",
        "nearest training images",
        "centre-out order",
        "fillings",
    ):
        assert part in alts


LEFT_OVER = ("tables/gone.csv", "figures/gone.svg", "figures/gone.png")


@pytest.fixture(scope="module")
def altered(complete: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The results folder, and what the command printed, of one report for several tests.

    A judge's name is a script, the calibration failed, files of an earlier report lie about, and the samples are large.
    """
    project = tmp_path_factory.mktemp("altered") / "project"
    shutil.copytree(complete, project)
    root = project / "results/made-up"
    shutil.rmtree(root / "curves")  # they take half of a report's time
    rows = json.loads((root / "metrics/marval-raster.json").read_text())
    made_up.write_json(
        root / "metrics/marval-raster.json", [row | {"judge": "<script>alert(1)</script>"} for row in rows]
    )
    row = {"check": "published FID", "expected": 3.94, "measured": 4.5, "tolerance": 0.05, "passed": False}
    made_up.write_json(root / "calibration.json", [row])
    for name in LEFT_OVER:
        made_up.write_json(root / name, "of an earlier report")
    labels = np.arange(60) % 10
    images = np.random.default_rng(0).integers(0, 256, (60, 256, 256, 3), np.uint8)
    for variant in ("teacher-100", "teacher-1", "marval", "marval-rl"):
        file = root / "samples" / f"{variant}.npz"
        np.savez(file, arr_0=images, arr_1=labels, seed=np.zeros(60, int), index=np.arange(60))
    printed, here = io.StringIO(), os.getcwd()
    with contextlib.redirect_stdout(printed):
        os.chdir(project)
        try:
            assert main(["made-up"]) == 0
        finally:
            os.chdir(here)
    return root, printed.getvalue()


@pytest.mark.slow
def test_content_is_escaped(altered: tuple[Path, str]) -> None:
    page = (altered[0] / "report.html").read_text()
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page


@pytest.mark.slow
def test_equal_results_give_equal_bytes(project: Path, reported: Path) -> None:
    build(made_up.opened(project))
    for name in (
        "report.html",
        "claims.json",
        "figures/quality-seconds.svg",
        "figures/quality-seconds.png",
        "tables/table1.tex",
    ):
        assert (project / "results/made-up" / name).read_bytes() == (reported / name).read_bytes(), name


@pytest.mark.slow
def test_a_failed_calibration_marks_the_report_untrusted(altered: tuple[Path, str]) -> None:
    page = (altered[0] / "report.html").read_text()
    assert "Untrusted." in page
    assert "published FID" in page


@pytest.mark.slow
@pytest.mark.parametrize(
    "parts",
    [
        pytest.param(["metrics"], id="metrics"),
        pytest.param(["samples", "curves", "records"], id="samples and records", marks=pytest.mark.long),
        pytest.param(
            ["judges", "data", "models", "speed.json", "calibration.json", "showcase.npz", "neighbours.npz"],
            id="the rest",
            marks=pytest.mark.long,
        ),
    ],
)
def test_missing_parts_are_no_crash(project: Path, parts: list[str]) -> None:
    for part in parts:
        path = project / "results/made-up" / part
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    claims = build(made_up.opened(project))
    assert len(claims) == 5
    assert (project / "results/made-up/report.html").is_file()


def test_an_empty_folder_gives_a_report_and_says_what_is_missing(tmp_path: Path) -> None:
    root = tmp_path / "results" / "nothing"
    root.mkdir(parents=True)
    build(Results.open("nothing", root))
    page = (root / "report.html").read_text()
    for part in ("not attempted", "metrics/ is empty", "speed.json is missing", "settings.json is missing"):
        assert part in page
    assert (root / "tables").is_dir()
    assert (root / "figures").is_dir()


DAMAGED = [
    "metrics/marval.json",
    "speed.json",
    "records/speed@made-up.json",
    "curves/teacher-s0.csv",
    "samples/marval.npz",
    "samples/teacher-1.png",
    "showcase.npz",
    "models/teacher/seed-0.safetensors",
]


@pytest.mark.slow
def test_damaged_files_are_named_and_no_crash(plain: Path) -> None:
    """Each file with another kind of damage, and then with the next kind."""
    kinds = [b"", b"{", b'[{"metric": 1}]', bytes(range(256))]
    (plain / "results/made-up/curves").mkdir()
    for turn in range(2):
        for i, file in enumerate(DAMAGED):
            (plain / "results/made-up" / file).write_bytes(kinds[(i + turn) % len(kinds)])
        results = made_up.opened(plain)
        build(results)
        for file in ("metrics/marval.json", "speed.json", "records/speed@made-up.json", "samples/marval.npz"):
            assert any(f"{file} is damaged" in problem for problem in results.problems), results.problems


@pytest.mark.parametrize("file", ["samples/marval.npz", "showcase.npz"])
def test_an_archive_that_is_cut_off_is_damaged(project: Path, file: str) -> None:
    path = project / "results/made-up" / file
    path.write_bytes(path.read_bytes()[:-200])
    results = made_up.opened(project)
    galleries(results, Paper())
    assert any(f"{file} is damaged" in problem for problem in results.problems), results.problems


@pytest.mark.slow
def test_tables_and_figures_of_an_earlier_report_go(altered: tuple[Path, str]) -> None:
    assert not any((altered[0] / name).exists() for name in LEFT_OVER)
    assert (altered[0] / "tables/table2.csv").is_file()


@pytest.mark.slow
def test_large_images_are_scaled_and_the_page_stays_small(altered: tuple[Path, str]) -> None:
    assert (altered[0] / "report.html").stat().st_size < PAGE_LIMIT


@pytest.mark.slow
def test_command_prints_verdicts_and_the_path(altered: tuple[Path, str]) -> None:
    for part in (
        *("C1", "C5", "reproduced", "proxy", "32.95"),
        *("34.02 [33.07, 35.00]", "report: results/made-up/report.html"),
    ):
        assert part in altered[1]
    assert "made-up/report.html" in (altered[0].parent / "index.html").read_text()


def test_a_missing_results_folder_is_one_line_and_status_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["digits"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "results/digits" in error


def test_reports_imports_neither_the_method_nor_the_metrics() -> None:
    for file in Path(made_up.__file__).parents[2].joinpath("reports").rglob("*.py"):
        assert not re.search(r"^\s*(from|import) (marval|metrics|torch)\b", file.read_text(), re.MULTILINE), (
            file
        )
