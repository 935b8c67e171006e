"""Stage `judges`: train the miniature evaluation networks and measure the real images' statistics under them.

PickScore, the usual training reward, is trained on one half of the training images, the others on the other; each names its half
in its settings. The reference under a feature judge is made of images that it was not trained on.
"""

from typing import cast

import numpy as np
import torch

from marval.artifacts import read_json, read_npz, write_csv, write_json
from marval.data.images import ImageSet
from marval.data.sources import PrepareConfig
from marval.methods.judge import JudgeMethod
from marval.pipeline.run import Context
from marval.training.checkpoints import CheckpointStore
from marval.training.loop import fit
from metrics.features import FeatureJudge
from metrics.judges.base import Judge, to_bchw
from metrics.judges.files import build
from metrics.judges.opened import NEIGHBOURS
from metrics.judges.quality import quality
from metrics.judges.registry import MINIATURE, JudgeRecord
from metrics.judges.settings import JudgeConfig, TrainedConfig
from metrics.judging import Yardstick
from metrics.memorisation import real_neighbours, write_neighbours
from metrics.monotone import monotone
from metrics.real import ArrayImages
from metrics.reference import make_reference
from metrics.samples import Samples

LOG_EVERY = 20


def run(context: Context) -> None:
    """Write the judges, their quality on held-out images, their curves, and the real images' statistics under each."""
    files, settings = context.files, context.preset.judges
    source: PrepareConfig = context.preset.prepare
    train, test = source.open_training(files.data), read_npz(files.held_out)
    names = read_json(files.class_names)
    folder = context.output(files.judges)
    held_out = to_bchw(test["arr_0"]), torch.from_numpy(test["arr_1"])
    qualities, curves = [], {}
    for record in MINIATURE:
        config = getattr(settings, record.name)
        judge = build(record.name, config, names, context.preset.prompt)
        if record.is_trained:
            rows = _train(context, judge, config, train)
            curves[record.name] = {row["step"]: row["loss"] for row in rows}
            qualities.append(quality(judge, *held_out))
        judge.save(folder / record.name)
        if record.role == "features":
            measured = cast(FeatureJudge, judge), _unseen(config, train)
            qualities += _write_reference(context, record, *measured, train, _samples(**test))
    write_json(folder / "quality.json", qualities)
    steps = sorted({step for curve in curves.values() for step in curve})
    table = [{"step": s, **{kind: curve[s] for kind, curve in curves.items() if s in curve}} for s in steps]
    write_csv(context.output(files.curve("judges")), table)


def _write_reference(
    context: Context,
    record: JudgeRecord,
    judge: FeatureJudge,
    unseen: np.ndarray,
    train: ImageSet,
    held_out: Samples,
) -> list[dict]:
    """The statistics of real images that a feature judge was not trained on; returns how it ranks corrupted copies."""
    folder = context.files.judges
    images = ArrayImages(
        train.images(unseen), train.labels[unseen], str(context.files.data), context.preset.prepare.crop
    )
    reference = make_reference(images, judge)
    reference.save(folder / record.reference_file)
    if record.measures is None:
        everything = _samples(train.images(np.arange(len(train))), train.labels)
        others = _samples(images.images, train.labels[unseen])
        write_neighbours(folder / NEIGHBOURS, real_neighbours(judge, others, everything, held_out))
    return monotone(Yardstick(judge, reference), held_out)


def _unseen(config: JudgeConfig, train: ImageSet) -> np.ndarray:
    """The training images that a judge was not trained on."""
    half = getattr(config, "half", None)
    return np.arange(len(train)) if half is None else np.flatnonzero(train.half == 1 - half)


def _samples(arr_0: np.ndarray, arr_1: np.ndarray) -> Samples:
    return Samples(arr_0, arr_1, np.zeros(len(arr_1), np.int64))


def _train(context: Context, judge: Judge, config: TrainedConfig, train: ImageSet) -> list[dict[str, float]]:
    """Train on the judge's half of the images; returns the rows of the curve."""
    seen = np.flatnonzero(train.half == config.half) if config.half is not None else np.arange(len(train))
    images, labels = to_bchw(train.images(seen)), torch.from_numpy(train.labels[seen])
    method = JudgeMethod(judge, judge.training_loss, config.lr, config.batch, images, labels)
    store = CheckpointStore(context.checkpoints, judge.kind)
    rows = fit(method, config.steps, config.seed, store, f"{context.label} {judge.kind}", LOG_EVERY)
    judge.eval().requires_grad_(False).calibrate(images, labels)
    return rows
