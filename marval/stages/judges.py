"""Stage `judges`: train the miniature evaluation networks and measure the reference statistics.

The training reward (pick_score) sees one half of the training images, the evaluators the other; each names its half in its
settings.
"""

import numpy as np
import torch

from marval.artifacts import read_json, read_npz, write_csv, write_json
from marval.methods.judge import JudgeMethod
from marval.stages.context import Context
from marval.training.checkpoints import CheckpointStore
from marval.training.loop import fit
from metrics.judges import Cnn, Judge, JudgeConfig, build, quality
from metrics.judges.base import to_bchw
from metrics.reference import make_reference

LOG_EVERY = 20


def run(context: Context) -> None:
    """Write the four judges, their held-out quality, their curves and the reference statistics."""
    train, test = (read_npz(context.results / f"data/{part}.npz") for part in ("train", "test"))
    names = read_json(context.results / "data/classes.json")
    folder = context.output("quality.json").parent
    held_out = to_bchw(test["arr_0"]), torch.from_numpy(test["arr_1"])
    qualities, curves, trained = [], {}, {}
    for kind, config in context.preset.judges:
        judge, rows = _train(context, kind, config, names, train)
        judge.save(folder / kind)
        qualities += quality(judge, *held_out)
        curves[kind] = {row["step"]: row["loss"] for row in rows}
        trained[kind] = judge
    cnn = trained["cnn"]
    assert isinstance(cnn, Cnn)
    reference = make_reference(train["arr_0"], train["arr_1"], cnn)
    reference.save(folder / "reference.npz")
    write_json(context.output("quality.json"), qualities)
    steps = sorted({step for curve in curves.values() for step in curve})
    table = [{"step": s, **{kind: curve[s] for kind, curve in curves.items() if s in curve}} for s in steps]
    write_csv(context.output("judges.csv"), table)


def _train(
    context: Context, kind: str, config: JudgeConfig, names: list[str], train: dict[str, np.ndarray]
) -> tuple[Judge, list[dict]]:
    seen = train["half"] == config.half if config.half is not None else np.ones(len(train["half"]), bool)
    images, labels = to_bchw(train["arr_0"][seen]), torch.from_numpy(train["arr_1"][seen])
    judge = build(kind, config, names)
    method = JudgeMethod(judge, judge.training_loss, config.lr, config.batch, images, labels)
    store = CheckpointStore(context.checkpoints, kind)
    rows = fit(method, config.steps, config.seed, store, f"{context.label} {kind}", LOG_EVERY)
    judge.eval().requires_grad_(False).calibrate(images, labels)
    return judge, rows
