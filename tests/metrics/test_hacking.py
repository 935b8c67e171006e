"""The watch raises its alarm where, and only where, judges and training reward part."""

import pytest

from metrics import UserError
from metrics.hacking import WatchSettings, watch

REWARD = [1.0, 2.0, 3.0, 4.0, 5.0]


def run(**columns: list[float]) -> list[dict]:
    judges = {name: values for name, values in columns.items() if name in ("clip", "ranker")}
    others = {name: values for name, values in columns.items() if name not in judges}
    return [
        {
            "step": 10 * i,
            "training_reward": REWARD[i],
            "judges": {name: values[i] for name, values in judges.items()},
            **{name: values[i] for name, values in others.items()},
        }
        for i in range(5)
    ]


def test_all_rise() -> None:
    seen = watch(run(clip=[1, 2, 3, 4, 5], frechet_distance=[1.0, 1.1, 1.2, 1.3, 1.4], accuracy=[0.9] * 5))
    assert seen.alarms == []
    assert seen.step is None
    assert seen.last_sound_step == 40


def test_one_judge_turns_while_another_rises() -> None:
    seen = watch(run(clip=[1, 2, 3, 2, 1], ranker=[1, 2, 3, 4, 5])[::-1])  # any order of rows
    assert [(alarm.quantity, alarm.step) for alarm in seen.alarms] == [("clip", 30)]
    assert seen.last_sound_step == 20


def test_a_passing_dip_is_noise() -> None:
    assert watch(run(clip=[1, 4, 2, 4, 4.2])).step is None
    assert watch(run(clip=[1, 4, 3.9, 3.8, 3.9])).step is None
    assert watch(run(clip=[1, 4, 3.9, 3.8, 3.9]), WatchSettings(fall=0.01)).step == 20


def test_images_destroyed_while_every_judge_rises() -> None:
    rows = run(
        clip=[1, 2, 3, 4, 5], frechet_distance=[1, 1, 1.9, 8, 31], accuracy=[1.0, 1.0, 0.99, 0.97, 0.64]
    )
    assert [(alarm.quantity, alarm.step) for alarm in watch(rows).alarms] == [
        ("frechet_distance", 30),
        ("accuracy", 30),
    ]


def test_a_falling_judge_is_no_hacking_where_the_reward_falls_too() -> None:
    rows = run(clip=[1, 2, 3, 2, 1])
    for row, reward in zip(rows, [1, 2, 3, 2, 1], strict=True):
        row["training_reward"] = reward
    assert watch(rows).step is None


def test_too_little_to_watch() -> None:
    with pytest.raises(UserError, match="at least two"):
        watch(run(clip=[1] * 5)[:1])
    rows = run(clip=[1] * 5)
    rows[1]["judges"] = {"ranker": 1}
    with pytest.raises(UserError, match="different judges"):
        watch(rows)
