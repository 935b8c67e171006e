"""Stage `judges`: train the miniature evaluation networks and measure the reference statistics.

The training reward (pick_score) sees one half of the training images, the evaluators the other; each names its half in its
settings.
"""

import numpy as np
import torch

from marval.artifacts import read_json, read_npz, write_csv, write_json
from marval.data.images import ImageSet
from marval.methods.judge import JudgeMethod
from marval.pipeline.run import Context
from marval.training.checkpoints import CheckpointStore
from marval.training.loop import fit
from metrics.judges import KINDS, Cnn, Judge, JudgeConfig, JudgesConfig, build, quality
from metrics.judges.base import to_bchw
from metrics.real import ArrayImages
from metrics.reference import make_reference

LOG_EVERY = 20


def run(context: Context) -> None:
    """Write the four judges, their held-out quality, their curves and the reference statistics."""
    files, settings = context.files, context.preset.judges
    assert isinstance(settings, JudgesConfig)
    train, test = context.preset.prepare.open_training(files.data), read_npz(files.held_out)
    names = read_json(files.class_names)
    held_out = to_bchw(test["arr_0"]), torch.from_numpy(test["arr_1"])
    qualities, curves, trained = [], {}, {}
    for kind in KINDS:
        config = getattr(settings, kind)
        judge = build(kind, config, names, context.preset.prompt)
        rows = _train(context, judge, config, train)
        judge.save(files.judges / kind)
        qualities += quality(judge, *held_out)
        curves[kind] = {row["step"]: row["loss"] for row in rows}
        trained[kind] = judge
    cnn = trained["cnn"]
    assert isinstance(cnn, Cnn)
    real = ArrayImages(
        train.images(np.arange(len(train))), train.labels, str(files.data), context.preset.prepare.crop
    )
    make_reference(real, cnn).save(context.output(files.judges / "reference.npz"))
    write_json(context.output(files.judges / "quality.json"), qualities)
    steps = sorted({step for curve in curves.values() for step in curve})
    table = [{"step": s, **{kind: curve[s] for kind, curve in curves.items() if s in curve}} for s in steps]
    write_csv(context.output(files.curve("judges")), table)


def _train(context: Context, judge: Judge, config: JudgeConfig, train: ImageSet) -> list[dict[str, float]]:
    """Train on the judge's half of the images; returns the rows of the curve."""
    seen = np.flatnonzero(train.half == config.half) if config.half is not None else np.arange(len(train))
    images, labels = to_bchw(train.images(seen)), torch.from_numpy(train.labels[seen])
    method = JudgeMethod(judge, judge.training_loss, config.lr, config.batch, images, labels)
    store = CheckpointStore(context.checkpoints, judge.kind)
    rows = fit(method, config.steps, config.seed, store, f"{context.label} {judge.kind}", LOG_EVERY)
    judge.eval().requires_grad_(False).calibrate(images, labels)
    return rows
