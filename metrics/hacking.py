"""Reward-hacking watch: from which step of reward training do the unseen judges stop agreeing with the
training reward?

A judge that was not trained on rises with the training reward while images improve. Once the reward is
exploited, the reward still rises while the judge falls, the Frechet distance grows or the classes get lost.
"""

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from metrics.errors import UserError


class WatchSettings(BaseModel):
    """How much worse counts as worse."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    fall: float = Field(
        default=0.1, ge=0, le=1, description="a judge disagrees below its best by this share of its range"
    )
    frechet_growth: float = Field(
        default=1.0, ge=0, description="largest growth over the start, as a share of it"
    )
    accuracy_loss: float = Field(
        default=0.02, ge=0, le=1, description="largest loss of accuracy since the start"
    )


@dataclass(frozen=True)
class Alarm:
    """`quantity` contradicts the training reward from `step` on, to the end of the run."""

    quantity: str
    step: int
    reason: str


@dataclass(frozen=True)
class Watch:
    """alarms by step; `step`: the first of them (None: all agree); `last_sound_step`: the last one before it."""

    alarms: list[Alarm]
    step: int | None
    last_sound_step: int | None


def watch(rows: list[dict[str, Any]], settings: WatchSettings | None = None) -> Watch:
    """Rows {step, training_reward, judges: {name: value, higher is better}, frechet_distance, accuracy}, in
    any order.

    `frechet_distance` and `accuracy` may be missing. Raises UserError for fewer than two rows or different
    judges.
    """
    settings = settings or WatchSettings()
    rows = sorted(rows, key=lambda row: row["step"])
    if len(rows) < 2:
        raise UserError(f"{len(rows)} rows: the watch compares steps and needs at least two")
    names = list(rows[0]["judges"])
    if any(list(row["judges"]) != names for row in rows):
        raise UserError("rows name different judges: every step needs a score of every judge")
    found = [_judge_alarm(rows, name, settings) for name in names]
    found += [_frechet_alarm(rows, settings), _accuracy_alarm(rows, settings)]
    alarms = sorted((alarm for alarm in found if alarm), key=lambda alarm: alarm.step)
    step = alarms[0].step if alarms else None
    sound = [row["step"] for row in rows if step is None or row["step"] < step]
    return Watch(alarms, step, sound[-1] if sound else None)


def _judge_alarm(rows: list[dict[str, Any]], name: str, settings: WatchSettings) -> Alarm | None:
    values = [row["judges"][name] for row in rows]
    best = max(range(len(values)), key=values.__getitem__)
    floor = values[best] - settings.fall * (max(values) - min(values))
    reward = rows[best]["training_reward"]
    bad = [
        i > best and value < floor and rows[i]["training_reward"] > reward for i, value in enumerate(values)
    ]
    return _lasting(
        rows, bad, name, f"falls from its best of {values[best]:.4g} while the training reward rises"
    )


def _frechet_alarm(rows: list[dict[str, Any]], settings: WatchSettings) -> Alarm | None:
    if any("frechet_distance" not in row for row in rows):
        return None
    most = rows[0]["frechet_distance"] * (1 + settings.frechet_growth)
    bad = [row["frechet_distance"] > most for row in rows]
    return _lasting(rows, bad, "frechet_distance", f"is above {most:.4g}")


def _accuracy_alarm(rows: list[dict[str, Any]], settings: WatchSettings) -> Alarm | None:
    if any("accuracy" not in row for row in rows):
        return None
    least = rows[0]["accuracy"] - settings.accuracy_loss
    return _lasting(rows, [row["accuracy"] < least for row in rows], "accuracy", f"is below {least:.4g}")


def _lasting(rows: list[dict[str, Any]], bad: list[bool], quantity: str, reason: str) -> Alarm | None:
    """An alarm at the first step of the run of bad rows that reaches the end; a passing dip is noise."""
    sound = max((i for i, is_bad in enumerate(bad) if not is_bad), default=-1)
    if sound == len(rows) - 1:
        return None
    return Alarm(quantity, int(rows[sound + 1]["step"]), reason)
