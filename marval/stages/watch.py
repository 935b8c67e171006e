"""Looking at a model while it is tuned: what the training reward and the judges that it is not trained on say of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from marval.models.mar import MAR
from marval.models.tokenizer import Tokenizer
from marval.stages.preset import SCORERS, SampleConfig, SampleVariant
from marval.stages.sample import balanced_labels, sample_images
from metrics.distances import frechet_to
from metrics.features import extract
from metrics.judges import Cnn
from metrics.judges import load as load_judge
from metrics.reference import read_reference
from metrics.samples import Samples

IMAGES = 250  # for each look, always the same noise
REWARD_ROLE = "training reward"


class Watch:
    """Scores of a changing model on fixed noise, named as in the result files."""

    def __init__(
        self, judges: Path, tokenizer: Tokenizer, config: SampleConfig, variant: SampleVariant
    ) -> None:
        self.tokenizer, self.config, self.variant = tokenizer, config, variant
        self.cnn = load_judge(judges / "cnn.json")
        self.scorers = [load_judge(judges / f"{kind}.json") for kind in SCORERS]
        self.reference = read_reference(judges / "reference.npz")

    def judged(self, rows: list[dict[str, float]]) -> list[dict[str, Any]]:
        """The looked-at rows of a curve in the form of `metrics.hacking.watch`."""
        unseen = [judge.metric for judge in self.scorers if judge.role != REWARD_ROLE]
        return [
            {
                "step": int(row["step"]),
                "training_reward": row["pick_score"],
                "judges": {name: row[name] for name in unseen},
                "frechet_distance": row["frechet_distance"],
                "accuracy": row["class_accuracy"],
            }
            for row in rows
            if "pick_score" in row
        ]

    def look(self, model: MAR, seed: int) -> dict[str, float]:
        """Means over the images; the distance of so few is biased upward, alike at every step."""
        assert isinstance(self.cnn, Cnn)
        images = sample_images(model, self.tokenizer, self.config, self.variant, seed, range(IMAGES))
        labels = balanced_labels(np.arange(IMAGES), model.config.classes)
        samples = Samples(images, labels, np.full(IMAGES, seed))
        features = extract(self.cnn, samples)
        scores = {
            j.metric: j.report_scale * float(j.score_images(images, labels).mean()) for j in self.scorers
        }
        return {
            **scores,
            "class_accuracy": float((features.logits.argmax(1) == labels).mean()),
            "frechet_distance": frechet_to(features.features, self.reference.mu, self.reference.sigma),
        }
