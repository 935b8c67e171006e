"""Stage `calibrate`: does the measuring code give the numbers that are known? It needs no data and no model."""

from marval.artifacts import write_json
from marval.pipeline.run import Context
from metrics.calibrate import embedded_cases


def run(context: Context) -> None:
    """Write each case: what was expected, what was measured, whether it passed."""
    rows = [
        {
            "check": case.name,
            "expected": case.expected,
            "measured": case.got,
            "tolerance": case.tolerance,
            "passed": case.passed,
        }
        for case in embedded_cases()
    ]
    write_json(context.output("calibration.json"), rows)
