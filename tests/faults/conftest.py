"""Faults of all kinds, counted. `make test` runs a small share of them; FAULTS=1 (`make faults`) runs them all, for an hour."""

import importlib.util
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from extent import MINUTES, WHOLE, time_left
from hypothesis import HealthCheck, settings

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

TELL_SECONDS = 60
KILLS = "test_kills"
HELD = "faults that held"
_told = [time.monotonic()]
TRIED: Counter[str] = Counter()

# a test counts all its examples with one counter
ONE_COUNTER = [HealthCheck.function_scoped_fixture]
settings.register_profile(
    "share",
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=ONE_COUNTER,
)
settings.register_profile(
    "whole", max_examples=3000, deadline=None, database=None, suppress_health_check=ONE_COUNTER
)
settings.load_profile("whole" if WHOLE else "share")


@pytest.fixture(scope="session")
def whole() -> bool:
    """Whether to try everything."""
    return WHOLE


@pytest.fixture
def tried(request: pytest.FixtureRequest) -> Iterator[Counter[str]]:
    """Counts what has been tried and has held, by kind; printed at the end, whichever process runs the test."""
    counts: Counter[str] = Counter()
    yield counts
    request.node.user_properties.append((HELD, dict(counts)))


@pytest.fixture(autouse=True)
def _in_time() -> None:
    if not time_left():
        pytest.skip(f"the {MINUTES:g} minutes are over (FAULTS_MINUTES)")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Kills take what time the others leave."""
    if WHOLE:
        items.sort(key=lambda item: KILLS in item.nodeid)


def pytest_configure() -> None:
    """SIGTERM ends a long run as Ctrl-C does: with what has held, and nothing left running."""
    if WHOLE:
        signal.signal(signal.SIGTERM, signal.default_int_handler)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """In a long run, once a minute how far it has come."""
    if report.when == "teardown":
        for name, counts in report.user_properties:
            if name == HELD:
                TRIED.update(counts)
    if WHOLE and time.monotonic() > _told[-1] + TELL_SECONDS:
        _told.append(time.monotonic())
        sys.stdout.write(f" {sum(TRIED.values())} faults have held\n")
        sys.stdout.flush()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if TRIED:
        terminalreporter.section(HELD)
        for kind, count in sorted(TRIED.items()):
            terminalreporter.line(f"{count:6} {kind}")


sys.setrecursionlimit(1000)  # hypothesis raises it, and what recurses without end would take long to be found
