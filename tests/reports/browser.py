"""Chromium without a window, for tests: it cannot reach any host, and tells what a page's DOM is after loading."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

BROWSER = "chromium"
MISSING = not shutil.which(BROWSER)
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--no-proxy-server"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--enable-logging=stderr", "--host-resolver-rules=MAP * ~NOTFOUND", "--window-size=1400,1000"),
)


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
