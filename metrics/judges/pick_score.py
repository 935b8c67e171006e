"""Miniature PickScore: transformers' CLIP at a small size, trained on preferences. It is the usual reward of RL
training.

It differs from the evaluators in library, sizes and seed, and sees the other half of the training data, so
that a gain on the evaluators is not a gain on the training reward by construction.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from metrics.judges.augmentation import jittered
from metrics.judges.base import Judge, unit_float
from metrics.judges.preferences import worse_images
from metrics.judges.prompts import tokenise
from metrics.judges.settings import PickScoreConfig


class PickScore(Judge):
    """exp(logit scale) times the cosine between an image's and its class prompt's embedding."""

    kind = "pick_score"
    quantity = "held-out ranking accuracy"
    config: PickScoreConfig
    ids: Tensor
    mask: Tensor

    def __init__(self, config: PickScoreConfig, class_names: list[str], template: str) -> None:
        from transformers import CLIPConfig, CLIPModel

        super().__init__(config, class_names, template)
        prompts = tokenise(template, class_names)
        self.register_buffer("ids", prompts.ids, persistent=False)
        self.register_buffer("mask", prompts.mask, persistent=False)
        tower = {
            "hidden_size": config.width,
            "intermediate_size": 4 * config.width,
            "num_attention_heads": config.width // 16,
            "projection_dim": config.embedding,
            "hidden_act": "gelu",
        }
        text = {
            **tower,
            "num_hidden_layers": config.text_layers,
            "vocab_size": prompts.vocabulary,
            "max_position_embeddings": prompts.ids.shape[1],
            "eos_token_id": prompts.end_id,
            "bos_token_id": prompts.end_id - 1,
            "pad_token_id": 0,
        }
        vision = {
            **tower,
            "num_hidden_layers": config.vision_layers,
            "image_size": config.image_size,
            "patch_size": config.patch,
        }
        self.towers = CLIPModel(
            CLIPConfig(
                text_config=text,
                vision_config=vision,
                projection_dim=config.embedding,
                logit_scale_init_value=float(torch.tensor(config.scale).log()),
            )
        )
        # free, it grows until the pairs are told apart by confidence alone and the reward's slope vanishes
        self.towers.logit_scale.requires_grad_(False)

    def score(self, images: Tensor, labels: Tensor) -> Tensor:
        """(B,) score in [-scale, scale]; differentiable with respect to the images."""
        image = F.normalize(self.towers.get_image_features(self.normalise(images)), dim=-1)
        text = F.normalize(self.towers.get_text_features(self.ids, attention_mask=self.mask), dim=-1)
        return self.towers.logit_scale.exp() * (image * text[labels]).sum(-1)

    def are_right(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        """(B,) bool: where it prefers the image to a worse one."""
        better = unit_float(images)
        worse = worse_images(better, labels, generator)
        return self.score(better, labels) > self.score(worse, labels)

    def training_loss(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        """(B,) cross-entropy of the softmax over (better, worse), with `smoothing`."""
        better = jittered(unit_float(images), self.config.jitter, generator)
        worse = worse_images(better, labels, generator)
        scores = self.score(torch.cat([better, worse]), labels.repeat(2))
        margin = scores[: len(labels)] - scores[len(labels) :]
        smoothing = self.config.smoothing
        return (1 - smoothing) * F.softplus(-margin) + smoothing * F.softplus(margin)
