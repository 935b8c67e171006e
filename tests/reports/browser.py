"""Chromium without a window, for tests: it cannot reach any host, and tells what a page's DOM is after loading.

A copy of a page carries a script that measures it and tells the frame around it; the browser prints that frame. Chromium has a
least window width, so frames, not windows, are made narrow.
"""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import Any

BROWSER = "chromium"
MISSING = not shutil.which(BROWSER)
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--no-proxy-server"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--enable-logging=stderr", "--host-resolver-rules=MAP * ~NOTFOUND", "--window-size=1400,1000"),
)


DARK = "--blink-settings=preferredColorScheme=0"
WIDTHS = (1280, 390)

# The rules of axe-core, its best practices among them, on the page with everything unfolded. The shades at a table's edges and
# the line through a forest plot go: before a gradient axe-core tells no contrast.
AXE = """
async function violations() {
  document.head.append(Object.assign(document.createElement("style"), {
    textContent: ".scroll, .forest .drawn { background-image: none !important; }",
  }));
  for (const details of document.querySelectorAll("details")) details.open = true;
  const found = await axe.run(document, { resultTypes: ["violations"] });
  const told = (v) => v.nodes.map((node) => `${v.id}: ${node.html.slice(0, 160)} ${node.failureSummary}`);
  return found.violations.flatMap(told);
}
"""
TELL = """
addEventListener("load", async () => {
  const told = { page: location.pathname.split("/").pop(), width: innerWidth, ...measure(), violations: await violations() };
  if (parent !== window) parent.postMessage(told, "*");
  else document.documentElement.dataset.told = JSON.stringify([told]);
});
"""
FRAMES = """<!DOCTYPE html><meta charset="utf-8"><link rel="icon" href="data:,"><script>
const told = [];
addEventListener("message", (event) => {
  told.push(event.data);
  document.documentElement.dataset.told = JSON.stringify(told);
});
</script>"""


def looked_at(
    folder: Path, pages: dict[str, Path], measure: str, *flags: str
) -> dict[tuple[str, int], dict[str, Any]]:
    """{(page's name, width): what JavaScript's `measure()` returned, and what axe-core objects to}.

    The pages are in frames of both widths; the console's lines are the same in each, as `console`.
    """
    for name, page in pages.items():
        _copy(page, folder / name, measure)
    frame = '<iframe src="{}" style="width:{}px;height:900px;border:0"></iframe>'
    frames = [frame.format(name, width) for name in pages for width in WIDTHS]
    (folder / "frames.html").write_text(FRAMES + "".join(frames))
    dom, log = run(folder, (folder / "frames.html").as_uri(), *flags)
    return {(t["page"], t["width"]): t | {"console": console(log)} for t in told(dom, log)}


def objections(folder: Path, page: Path) -> list[str]:
    """Of axe-core to a page that is not in a frame: there its rules on whole pages count too."""
    _copy(page, folder / "copy.html", "function measure() {}")
    dom, log = run(folder, (folder / "copy.html").as_uri())
    return list(told(dom, log)[0]["violations"])


def _copy(page: Path, to: Path, measure: str) -> None:
    axe = (files("axe_core_python") / "axe.min.js").read_text().replace("</script", r"<\/script")
    scripts = "".join(f"<script>{code}</script>" for code in (axe, AXE, measure, TELL))
    to.write_text(page.read_text().replace("</body>", scripts + "</body>"))


def run(folder: Path, url: str, *flags: str, budget: int = 8000) -> tuple[str, str]:
    """(DOM after loading, log). Every host name is unknown to the browser, so that nothing can leave the machine."""
    command = [
        BROWSER,
        *FLAGS,
        f"--virtual-time-budget={budget}",
        *(f"--user-data-dir={folder / 'profile'}", *flags, "--dump-dom", url),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, done.stderr


def told(dom: str, log: str) -> Any:
    """What a page's script left as JSON in the attribute data-told of its root."""
    found = re.search(r'data-told="([^"]*)"', dom)
    assert found, log[-2000:]
    return json.loads(html.unescape(found[1]))


def console(log: str) -> list[str]:
    """The console's lines."""
    return [line for line in log.splitlines() if "CONSOLE" in line]
