"""SIGTERM taken as Ctrl-C."""

import signal

import pytest

from marval.processes import sigterm


@pytest.fixture(autouse=True)
def _handlers():
    """What other tests have found is there again afterwards."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_sigterm_interrupts_once():
    """What follows while a process is leaving, from Slurm or from a client, does not keep it from it."""
    sigterm.take_as_ctrl_c()
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGINT)
