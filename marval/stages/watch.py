"""Looking at a model while it is tuned: what the training reward and the judges that it is not trained on say of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from marval.models.mar import MAR
from marval.models.tokenizer import Tokenizer
from marval.stages.preset import SampleConfig, SampleVariant
from marval.stages.sample import balanced_labels, sample_images
from metrics.judges.opened import OpenedJudges
from metrics.judging import Jury, Yardstick, judge_images
from metrics.samples import Samples

IMAGES = 250  # for each look, always the same noise
REWARD = "pick_score"  # the judge that RL trains on
PRICES = {"frechet_distance": "frechet_distance", "class_accuracy": "accuracy"}  # name here -> in the watch


class Watch:
    """Scores of a changing model on fixed noise, named as in the result files."""

    def __init__(
        self, judges: OpenedJudges, tokenizer: Tokenizer, config: SampleConfig, variant: SampleVariant
    ) -> None:
        self.judges, self.tokenizer, self.config, self.variant = judges, tokenizer, config, variant

    def judged(self, rows: list[dict[str, float]]) -> list[dict[str, Any]]:
        """The looked-at rows of a curve in the form of `metrics.hacking.watch`."""
        unseen = [judge.metric for judge in self.judges.unseen(REWARD)]
        return [
            {
                "step": int(row["step"]),
                "training_reward": row[REWARD],
                "judges": {name: row[name] for name in unseen},
                **{of: row[name] for name, of in PRICES.items() if name in row},
            }
            for row in rows
            if REWARD in row
        ]

    def look(self, model: MAR, seed: int) -> dict[str, float]:
        """Means over the images; the distance of so few is biased upward, alike at every step."""
        batch, judges = self.config.batch, self.judges
        parts = [range(first, min(first + batch, IMAGES)) for first in range(0, IMAGES, batch)]
        images = np.concatenate(
            [sample_images(model, self.tokenizer, self.config, self.variant, seed, part) for part in parts]
        )
        labels = balanced_labels(np.arange(IMAGES), model.config.classes)
        jury = Jury([Yardstick(judges.features, judges.reference)], judges.scorers)
        judged = judge_images(Samples(images, labels, np.full(IMAGES, seed)), jury)
        features = judged.features[judges.features.name]
        found = {j.metric: j.report_scale * float(judged.scores[j.name].mean()) for j in judges.scorers}
        if judges.features.knows_labels:
            found["class_accuracy"] = float((features.logits.argmax(1) == labels).mean())
        return {**found, "frechet_distance": judges.reference.target.distance(features.features)}
