"""Differences: right sign, right width, refused across protocols."""

import json
from pathlib import Path

import numpy as np
import pytest

from metrics import UserError
from metrics.compare import compare, read_rows, table


def row(value: float, reach: float, **changes: object) -> dict:
    made = {
        "metric": "frechet_distance",
        "value": value,
        "ci_low": value - reach,
        "ci_high": value + reach,
        "n": 1000,
        "seeds": [0],
        "values": [value],
        "higher_is_better": False,
        "judge": "digits-cnn",
        "judge_sha256": "a",
        "protocol": {"images": 1000, "reference": "r", "crop": "none"},
        "interval": "",
    }
    return {**made, **changes}


def test_clear_difference_names_the_better_one() -> None:
    (found,) = compare([row(2.0, 0.3)], [row(1.0, 0.4)])
    assert found["difference"] == pytest.approx(-1)
    assert (found["ci_low"], found["ci_high"]) == pytest.approx((-1.5, -0.5))
    assert found["verdict"] == "B better"
    (found,) = compare([row(2.0, 0.3, higher_is_better=True)], [row(1.0, 0.4, higher_is_better=True)])
    assert found["verdict"] == "A better"
    (found,) = compare([row(2.0, 0.3, higher_is_better=None)], [row(1.0, 0.4, higher_is_better=None)])
    assert found["verdict"] == "A higher"


def test_overlap_is_inconclusive_and_so_is_nan() -> None:
    assert compare([row(2.0, 0.8)], [row(1.0, 0.8)])[0]["verdict"] == "inconclusive"
    assert compare([row(2.0, float("nan"))], [row(1.0, 0.1)])[0]["verdict"] == "inconclusive"


def test_same_seeds_are_compared_pair_by_pair() -> None:
    a = row(2.0, 4.0, seeds=[0, 1, 2], values=[1.0, 2.0, 3.0])
    b = row(1.5, 4.0, seeds=[0, 1, 2], values=[0.51, 1.5, 2.49])
    (found,) = compare([a], [b])
    assert found["verdict"] == "B better"  # the seeds differ far more than the pairs
    assert compare([a], [{**b, "seeds": [3, 4, 5]}])[0]["verdict"] == "inconclusive"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"judge": "inception-v3-compat"}, "judge digits-cnn and inception-v3-compat"),
        ({"judge_sha256": "b"}, "judge_sha256 a and b"),
        ({"protocol": {"images": 500, "reference": "r", "crop": "none"}}, "images 1000 and 500"),
        ({"protocol": {"images": 1000, "reference": "q", "crop": "none"}}, "reference r and q"),
        ({"protocol": {"images": 1000, "reference": "r", "crop": "adm"}}, "crop none and adm"),
        ({"protocol": {"images": 1000, "reference": "r"}}, "crop none and None"),
    ],
)
def test_different_protocols_are_refused(changes: dict, told: str) -> None:
    with pytest.raises(UserError, match=rf"frechet_distance.*\({told}\)"):
        compare([row(1, 1)], [row(1, 1, **changes)])


def test_files(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no metric in common"):
        compare([row(1, 1)], [row(1, 1, metric="recall")])
    (tmp_path / "a.json").write_text(json.dumps([row(1, 1)]))
    assert "inconclusive" in table(compare(*[read_rows(tmp_path / "a.json")] * 2))
    for text, told in (("{", "not JSON"), ("{}", "not a list")):
        (tmp_path / "b.json").write_text(text)
        with pytest.raises(UserError, match=told):
            read_rows(tmp_path / "b.json")
    with pytest.raises(UserError, match="no such file"):
        read_rows(tmp_path / "c.json")


def with_halves(value: float, halves: list[float], sha256: str = "h") -> dict:
    return row(value, 1.0, halves=[{"sha256": sha256, "values": halves}])


def test_equal_halves_are_compared_half_by_half() -> None:
    rng = np.random.default_rng(0)
    shared, own = 0.3 * rng.normal(size=30), 0.02 * rng.normal(size=30)
    a, b = with_halves(1.0, list(1 + shared)), with_halves(0.9, list(0.9 + shared + own))
    (found,) = compare([a], [b])
    assert found["verdict"] == "B better"
    assert found["ci_high"] - found["ci_low"] == pytest.approx(2 * 1.959964 * own.std(ddof=1))
    assert (found["ci_low"] + found["ci_high"]) / 2 == pytest.approx(-0.1)
    assert "30 equal random halves" in found["interval"]
    other = with_halves(0.9, list(0.9 + shared + own), "i")
    assert compare([a], [other])[0]["verdict"] == "inconclusive"
