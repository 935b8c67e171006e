"""Faults of all kinds, counted. `make test` runs a small share of them; FAULTS=1 (`make faults`) runs them all, for an hour."""

import importlib.util
import os
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import settings

# the checkouts of the tests of the workflow: one conftest cannot import another by its name
spec = importlib.util.spec_from_file_location("checkouts", Path(__file__).parents[1] / "workflow/conftest.py")
assert spec is not None
assert spec.loader is not None
checkouts = importlib.util.module_from_spec(spec)
sys.modules["checkouts"] = checkouts
spec.loader.exec_module(checkouts)
copy, finished, fresh, warm_process = (
    getattr(checkouts, name) for name in ("copy", "finished", "fresh", "warm_process")
)

WHOLE = bool(os.environ.get("FAULTS"))
TRIED: Counter[str] = Counter()

settings.register_profile("share", max_examples=60, deadline=None, derandomize=True, database=None)
settings.register_profile("whole", max_examples=3000, deadline=None, database=None)
settings.load_profile("whole" if WHOLE else "share")


@pytest.fixture(scope="session")
def whole() -> bool:
    """Whether to try everything."""
    return WHOLE


@pytest.fixture(scope="session")
def tried() -> Counter[str]:
    """Counts what has been tried and has held, by kind; printed at the end."""
    return TRIED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if TRIED:
        terminalreporter.section("faults that held")
        for kind, count in sorted(TRIED.items()):
            terminalreporter.line(f"{count:6} {kind}")


sys.setrecursionlimit(1000)  # hypothesis raises it, and what recurses without end would take long to be found
