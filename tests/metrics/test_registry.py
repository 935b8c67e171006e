"""Judges and metrics are listed once, and reading the lists loads no network."""

import subprocess
import sys

import numpy as np
import pytest

from metrics import set_metrics
from metrics.evaluate import evaluate
from metrics.judges.cnn import Cnn
from metrics.judges.registry import MINIATURE, PUBLISHED, record
from metrics.judging import Jury, Yardstick
from metrics.reference import Reference
from metrics.samples import Samples
from metrics.set_metrics import METRICS, SetMetric, against, each
from metrics.settings import EvaluationSettings


def test_settings_and_registry_are_free_of_the_networks() -> None:
    heavy = ["torch", "scipy", "open_clip", "transformers", "torch_fidelity", "sklearn"]
    code = (
        "import sys; import metrics.settings, metrics.judges.section, metrics.judges.registry; "
        f"print(*[name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize("judge", [*MINIATURE, *PUBLISHED], ids=lambda judge: f"{judge.name}-{judge.network}")
def test_records_agree_with_the_networks(judge) -> None:
    network = judge.implementation()
    assert (judge.config is None) == (judge.weights is not None)
    if judge.config is not None:
        assert network.kind == judge.name
    elif judge.role == "scorer":
        assert network.weights == judge.weights
    if judge.role == "scorer":
        own = "score" in vars(network)
        assert own == judge.differentiable
        assert (record(judge.name).metric, record(judge.name).title) == (judge.metric, judge.title)
    else:
        assert callable(network.features)
        assert judge.measures is None or set(judge.measures) <= {metric.name for metric in METRICS}


def test_names_are_said_once() -> None:
    for names in ([m.name for m in METRICS], [j.name for j in MINIATURE], [j.name for j in PUBLISHED]):
        assert len(set(names)) == len(names)


def test_a_new_metric_is_one_record(
    held_out: Samples, cnn: Cnn, reference: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spread(subject: set_metrics.Subject, index: np.ndarray) -> float:
        return float(subject.features.features[index].std())

    ours = SetMetric("spread", "Spread of features", None, each(spread), against)
    monkeypatch.setattr(set_metrics, "METRICS", (ours,))
    settings = EvaluationSettings(half_samples=6)
    (row,) = evaluate(held_out, Jury([Yardstick(cnn, reference)]), settings)
    assert (row["metric"], row["title"], row["higher_is_better"]) == ("spread", "Spread of features", None)
    assert row["ci_low"] < row["value"] < row["ci_high"]
    assert row["protocol"]["reference"] == reference.sha256
