"""Stage `watch`: what the training reward and the judges that it does not train say of a model while it is fine-tuned."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from marval.artifacts import load_weights, write_json
from marval.models.mar import MAR
from marval.models.saved import load_mar, load_tokenizer
from marval.models.tokenizer import Tokenizer
from marval.pipeline.preset import TEACHER, Preset
from marval.pipeline.run import Context
from marval.processes.group import here
from marval.sampling.images import balanced_labels, plain_sampler, sample_images
from marval.sampling.settings import Role, SampleVariant
from marval.sampling.token_samplers import OneStep
from marval.training.snapshots import snapshot_files
from metrics.hacking import watch as unsound_from
from metrics.judges.opened import OpenedJudges, open_folder
from metrics.judging import Jury, Yardstick, judge_images
from metrics.samples import Samples

IMAGES, BATCH = 250, 125  # for each look, always the same noise
PRICES = {
    "frechet_distance": "frechet_distance",
    "class_accuracy": "accuracy",
}  # name here -> in metrics.hacking


def run(context: Context, variant: str, seed: int) -> None:
    """Write the scores at each snapshot and at the end, and from which step on something contradicts the reward."""
    preset, files = context.preset, context.files
    model = load_mar(files.model(variant, seed)).to(here().device)
    tokenizer = load_tokenizer(files.tokenizer, files.normaliser).to(here().device)
    judges = open_folder(files.judges).to(here().device)
    steps = preset.reinforce.variants[variant].steps
    rows = [{"step": steps, **_scores(model, tokenizer, judges, preset, seed)}]
    for step, path in reversed(snapshot_files(files.snapshots(variant, seed)).items()):
        load_weights(model, path)
        rows.insert(0, {"step": step, **_scores(model, tokenizer, judges, preset, seed)})
    reward = preset.reinforce.training.reward
    found = asdict(unsound_from(_compared(rows, judges, reward)))
    write_json(context.output(f"watch/{variant}-s{seed}.json"), {"rows": rows, "reward": reward, **found})


def _scores(
    model: MAR, tokenizer: Tokenizer, judges: OpenedJudges, preset: Preset, seed: int
) -> dict[str, float]:
    """Means over the images by metric; the distance of so few is biased upward, alike at every step."""
    look = SampleVariant(
        role=Role.ABLATION, model=TEACHER, diffusion_steps=1, ar_steps=preset.reinforce.training.ar_steps
    )
    inner = OneStep.at(preset.one_step_t, model.mask_token.device)
    draw_tokens = plain_sampler(model, inner, look)
    parts = [range(first, first + BATCH) for first in range(0, IMAGES, BATCH)]
    images = np.concatenate(
        [sample_images(model, tokenizer, look, seed, part, draw_tokens) for part in parts]
    )
    labels = balanced_labels(np.arange(IMAGES), model.config.classes)
    jury = Jury([Yardstick(judges.features, judges.reference)], judges.scorers)
    judged = judge_images(Samples(images, labels, np.full(IMAGES, seed)), jury)
    features = judged.features[judges.features.name]
    scores = {j.metric: j.report_scale * float(judged.scores[j.name].mean()) for j in judges.scorers}
    if judges.features.knows_labels:
        scores["class_accuracy"] = float((features.logits.argmax(1) == labels).mean())
    return {**scores, "frechet_distance": judges.reference.target.distance(features.features)}


def _compared(rows: list[dict[str, float]], judges: OpenedJudges, reward: str) -> list[dict[str, Any]]:
    """The rows in the form of `metrics.hacking.watch`."""
    trained = judges.scorer(reward).metric
    unseen = [judge.metric for judge in judges.unseen(reward)]
    return [
        {
            "step": row["step"],
            "training_reward": row[trained],
            "judges": {name: row[name] for name in unseen},
            **{of: row[name] for name, of in PRICES.items() if name in row},
        }
        for row in rows
    ]
