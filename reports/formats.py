"""The formats of result files: one row type and one reader for each. A reader may raise anything in DAMAGE."""

from __future__ import annotations

import csv
import hashlib
import json
import math
import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reports.intervals import Estimate, Halves
from reports.roles import Roles

TRAINING_REWARD = "training reward"  # the role of the judge that reward fine-tuning maximises
SHARES = ("encoder", "decoder", "head", "tokenizer")

# what readers raise for a file that is cut off, of another format, or of another shape than agreed
DAMAGE = (
    *(OSError, EOFError, ValueError, LookupError, TypeError, AttributeError, SyntaxError),
    *(csv.Error, struct.error, zipfile.BadZipFile, zlib.error),
)

PASSING = ".snakemake_timestamp"  # in folders of results; no part of their content


@dataclass(frozen=True)
class Metric:
    """One row of metrics/VARIANT.json."""

    variant: str
    name: str
    title: str  # for people
    estimate: Estimate
    n: int | None
    judge: str
    judge_sha256: str
    protocol: dict[str, Any]
    higher_is_better: bool | None
    file: Path
    curve: tuple[tuple[int, float], ...] = ()  # (n, value) at fewer images

    @property
    def judge_role(self) -> str:
        """`training reward` or `unseen judge` for a score of single images; empty for a measure of the whole set."""
        return str(self.protocol.get("role") or "")

    @property
    def is_training_reward(self) -> bool:
        return self.judge_role == TRAINING_REWARD


@dataclass(frozen=True)
class Speed:
    """One row of speed.json; seconds for one image."""

    model: str
    variant: str
    device: str
    batch: int
    ar_steps: int
    diffusion_steps: int  # 1 for a distilled model
    mode: str
    estimate: Estimate
    shares: dict[str, float]
    floor_seconds: float | None
    file: Path
    dtype: str = ""
    flops: float | None = None  # of one image
    peak_memory_mb: float | None = None
    note: str = ""  # how the measurement is reduced
    floor_source: str = ""  # where the machine's rates are from
    head_evaluations: int | None = None  # counted in one run of the batch, where it was


@dataclass(frozen=True)
class Skipped:
    """A row of speed.json without a time, and why it has none."""

    model: str
    variant: str
    batch: int
    mode: str
    reason: str


@dataclass(frozen=True)
class Watch:
    """watch/MODEL-sSEED.json: what the judges say of a model while it is tuned by reward.

    `rows` are {step, metric: value}; `reward` names the metric that is maximised; `alarms` are
    {quantity, reason}, and from `step` on they contradict it (None: nothing does).
    """

    rows: list[dict[str, float]]
    reward: str
    step: int | None
    alarms: list[dict[str, Any]]


@dataclass(frozen=True)
class Record:
    """One stage run, records/STAGE.json."""

    stage: str
    content: dict[str, Any]
    file: Path

    def get(self, key: str, default: Any = None) -> Any:
        return self.content.get(key, default)


def md5(path: Path) -> str:
    """The hash that DVC records: of a file, or of the list of a folder's files with theirs, which ends in `.dir`."""
    if path.is_dir():
        files = sorted(p for p in path.rglob("*") if p.is_file() and p.name != PASSING)
        listed = [{"md5": md5(file), "relpath": file.relative_to(path).as_posix()} for file in files]
        listed.sort(key=lambda entry: entry["relpath"])
        return (
            hashlib.md5(json.dumps(listed, sort_keys=True).encode(), usedforsecurity=False).hexdigest()
            + ".dir"
        )
    state = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            state.update(chunk)
    return state.hexdigest()


def read_json(path: Path) -> Any:
    """Anything."""
    return json.loads(path.read_text())


def read_settings(path: Path) -> dict[str, Any]:
    """settings.json: a preset's settings with every default filled in, and a role for each variant."""
    settings = read_json(path)
    if not isinstance(settings, dict):
        raise ValueError("not a mapping")
    Roles(settings)  # raises where a role is unknown or missing
    return settings


def read_watch(path: Path) -> Watch:
    """watch/MODEL-sSEED.json."""
    content = read_json(path)
    rows = [{str(k): _number(v) for k, v in row.items()} for row in content["rows"]]
    step = content["step"]
    return Watch(rows, str(content["reward"]), None if step is None else int(step), list(content["alarms"]))


def read_rows(path: Path) -> list[dict[str, Any]]:
    """A list of rows."""
    rows = read_json(path)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError("not a list of rows")
    return rows


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _optional(value: Any) -> float | None:
    return None if value is None else float(value)


def read_metrics(path: Path) -> dict[str, Metric]:
    """{metric name: row} of metrics/VARIANT.json."""
    return {row["metric"]: _metric(row, path) for row in read_rows(path)}


def _metric(row: dict[str, Any], path: Path) -> Metric:
    estimate = Estimate(
        float(row["value"]),
        _number(row.get("ci_low")),
        _number(row.get("ci_high")),
        tuple(float(x) for x in row.get("values") or ()),
        tuple(int(x) for x in row.get("seeds") or ()),
        str(row.get("interval") or ""),
        tuple(Halves(str(h["sha256"]), tuple(map(_number, h["values"]))) for h in row.get("halves") or ()),
        degrees=len(row["values"]) - 1 if len(row.get("values") or ()) > 1 else math.inf,
    )
    name = str(row["metric"])
    return Metric(
        variant=path.stem,
        name=name,
        title=str(row.get("title") or name.replace("_", " ")),
        estimate=estimate,
        n=row.get("n"),
        judge=str(row.get("judge") or ""),
        judge_sha256=str(row.get("judge_sha256") or ""),
        protocol=row.get("protocol") or {},
        higher_is_better=row.get("higher_is_better"),
        file=path,
        curve=tuple((int(n), float(value)) for n, value in row.get("curve") or ()),
    )


def read_speed(path: Path) -> tuple[list[Speed], list[Skipped]]:
    """The rows of speed.json: those with a time, and those that say why they have none."""
    rows = read_rows(path)
    timed = [_speed(row, path) for row in rows if not row.get("skipped")]
    return timed, [_skipped(row) for row in rows if row.get("skipped")]


def _skipped(row: dict[str, Any]) -> Skipped:
    return Skipped(
        model=str(row.get("model", "")),
        variant=str(row.get("variant", "")),
        batch=int(row["batch"]),
        mode=str(row.get("mode", "")),
        reason=str(row["skipped"]),
    )


def _speed(row: dict[str, Any], path: Path) -> Speed:
    floor, flops, memory = (_optional(row.get(k)) for k in ("floor_seconds", "flops", "peak_memory_mb"))
    return Speed(
        model=str(row["model"]),
        variant=str(row["variant"]),
        device=str(row.get("device", "")),
        batch=int(row["batch"]),
        ar_steps=int(row["ar_steps"]),
        diffusion_steps=int(row.get("diffusion_steps") or 1),
        mode=str(row["mode"]),
        estimate=Estimate(
            float(row["seconds_per_image"]), _number(row.get("ci_low")), _number(row.get("ci_high"))
        ),
        shares={str(k): float(v) for k, v in (row.get("shares") or {}).items()},
        floor_seconds=floor,
        file=path,
        dtype=str(row.get("dtype") or ""),
        flops=flops,
        peak_memory_mb=memory,
        note=str(row.get("note") or ""),
        floor_source=str(row.get("floor_source") or ""),
        head_evaluations=row.get("head_evaluations"),
    )


def read_record(path: Path) -> Record:
    """records/STAGE.json."""
    content = read_json(path)
    if not isinstance(content.get("outputs", {}), dict):
        raise ValueError("outputs is not a mapping")
    return Record(str(content.get("stage", path.stem)), content, path)


def read_curve(path: Path) -> dict[str, list[float]]:
    """{column: values} of a curve; an absent value is nan and a column without values is left out."""
    with path.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    columns = {key: [_cell(row.get(key)) for row in rows] for key in (rows[0] if rows else {}) if key}
    return {key: values for key, values in columns.items() if not all(map(math.isnan, values))}


def _cell(text: str | None) -> float:
    try:
        return float(text) if text else math.nan
    except ValueError:
        return math.nan
